"use strict";
// Tables of the boards: a click on a column's title sorts by it, once more the other way; "n/a" stands last.
(function () {
  if (!/boards(\.html)?\/?$/.test(location.pathname)) { return; }
  function number(text) { return parseFloat(text.replace(/^.*\(/, "")); }
  document.querySelectorAll("article table").forEach(function (table) {
    var body = table.tBodies[0], heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      var rising = false;
      function sort() {
        rising = !rising;
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        Array.from(body.rows).sort(function (a, b) {
          var x = a.cells[column].textContent, y = b.cells[column].textContent;
          var lacks = (x === "n/a") - (y === "n/a");
          if (lacks) { return lacks; }
          var gap = number(x) - number(y);
          var order = isNaN(gap) ? x.localeCompare(y, "en", { numeric: true }) : gap;
          return rising ? order : -order;
        }).forEach(function (row) { body.appendChild(row); });
      }
      head.style.cursor = "pointer";
      head.tabIndex = 0;
      head.addEventListener("click", sort);
      head.addEventListener("keydown", function (event) { if (event.key === "Enter") { sort(); } });
    });
  });
}());
