"use strict";
// Tables: sorted by a button in the head, filtered by choices, paged where they are long.
(function () {
  function value(row, column) {
    var cell = row.cells[column];
    return cell.dataset.key !== undefined ? cell.dataset.key : cell.textContent;
  }
  function compare(a, b, column, numeric, sign) {
    var x = a.cells[column].dataset.key, y = b.cells[column].dataset.key;
    if (numeric) {
      // What has no number stands last, whichever way the rest goes.
      if (x === undefined || y === undefined) { return (x === undefined) - (y === undefined); }
      return sign * (Number(x) - Number(y));
    }
    return sign * value(a, column).localeCompare(value(b, column), "en", { numeric: true });
  }
  document.querySelectorAll("table[data-sortable]").forEach(function (table) {
    var body = table.tBodies[0], rows = Array.from(body.rows), shown = rows, page = 0;
    var size = Number(table.dataset.page) || 50;
    var tool = document.querySelector('.tool[data-for="' + CSS.escape(table.id) + '"]');
    var count = tool.querySelector(".count"), pager = null, before, after, place;
    function draw() {
      var pages = Math.max(1, Math.ceil(shown.length / size));
      page = Math.min(page, pages - 1);
      var visible = new Set(shown.slice(page * size, (page + 1) * size));
      rows.forEach(function (row) { row.hidden = !visible.has(row); });
      if (count) { count.textContent = shown.length + " of " + rows.length + " rows"; }
      if (pager) {
        pager.hidden = pages < 2;
        place.textContent = "page " + (page + 1) + " of " + pages;
        before.disabled = page === 0;
        after.disabled = page === pages - 1;
      }
    }
    if (rows.length > size) {
      pager = document.createElement("span");
      pager.className = "pager";
      before = document.createElement("button");
      after = document.createElement("button");
      place = document.createElement("span");
      place.setAttribute("role", "status");
      [before, after].forEach(function (button, i) {
        button.type = "button";
        button.textContent = i ? "Next" : "Previous";
        button.addEventListener("click", function () { page += i ? 1 : -1; draw(); });
      });
      pager.append(before, place, after);
      tool.append(pager);
    }
    function filter() {
      var wanted = Array.from(tool.querySelectorAll("select")).filter(function (s) { return s.value !== ""; });
      shown = rows.filter(function (row) {
        return wanted.every(function (s) { return row.cells[Number(s.dataset.column)].textContent === s.value; });
      });
      page = 0;
      draw();
    }
    tool.querySelectorAll("select").forEach(function (s) { s.addEventListener("change", filter); });
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      if ("fixed" in head.dataset || rows.length < 2) { return; }
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.append(button);
      button.addEventListener("click", function () {
        var numeric = head.classList.contains("n");
        var old = head.getAttribute("aria-sort");
        var next = old ? (old === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
        Array.from(table.tHead.rows[0].cells).forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", next);
        var sign = next === "ascending" ? 1 : -1;
        rows.sort(function (a, b) { return compare(a, b, column, numeric, sign); });
        rows.forEach(function (row) { body.append(row); });
        filter();
      });
    });
    filter();
  });
  // On paper every row and every aside is there.
  var hidden = [], closed = [];
  window.addEventListener("beforeprint", function () {
    hidden = Array.from(document.querySelectorAll("tr[hidden]"));
    hidden.forEach(function (row) { row.hidden = false; });
    closed = Array.from(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (aside) { aside.open = true; });
  });
  window.addEventListener("afterprint", function () {
    hidden.forEach(function (row) { row.hidden = true; });
    closed.forEach(function (aside) { aside.open = false; });
  });
})();
