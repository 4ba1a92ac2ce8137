import pytest

from leaderboards import NO_DOMAIN, POOLED, slices
from leaderboards.tables.slicing import pool


def content(samples, cut):
    """(generator, domain, reals by source, number of fakes) of a slice."""
    reals = samples.iloc[cut.real_rows]
    assert (reals["label"] == 0).all()
    assert (samples.iloc[cut.fake_rows]["label"] == 1).all()
    return (
        cut.generator,
        cut.domain,
        reals["generator"].value_counts().to_dict(),
        len(cut.fake_rows),
    )


@pytest.fixture
def paired(frame):
    """Two generators with reals of their own, a third that shares; two domains."""
    return frame(
        ("ADM/nature", "sky", 0, 3),
        ("glide/nature", "sky", 0, 4),
        ("glide/nature", "town", 0, 2),
        ("laion", "town", 0, 5),
        ("ADM", "sky", 1, 6),
        ("glide", "sky", 1, 7),
        ("glide", "town", 1, 8),
        ("dalle", "town", 1, 9),
    )


PAIRING = {"ADM": ("ADM/nature",), "glide": ("glide/nature",), "dalle": ("laion", "glide/nature")}


def test_each_generator_meets_its_own_reals(paired):
    found = [content(paired, cut) for cut in slices(paired, PAIRING, ("generator",))]
    assert found == [
        ("ADM", POOLED, {"ADM/nature": 3}, 6),
        ("dalle", POOLED, {"laion": 5, "glide/nature": 6}, 9),
        ("glide", POOLED, {"glide/nature": 6}, 15),
    ]


def test_a_domain_holds_everything_of_it(paired):
    found = [content(paired, cut) for cut in slices(paired, PAIRING, ("domain",))]
    assert found == [
        (POOLED, "sky", {"glide/nature": 4, "ADM/nature": 3}, 13),
        (POOLED, "town", {"laion": 5, "glide/nature": 2}, 17),
    ]


def test_generator_and_domain_keeps_pairing_and_domain(paired):
    found = [content(paired, cut) for cut in slices(paired, PAIRING, ("domain", "generator"))]
    assert found == [
        ("ADM", "sky", {"ADM/nature": 3}, 6),
        ("dalle", "town", {"laion": 5, "glide/nature": 2}, 9),
        ("glide", "sky", {"glide/nature": 4}, 7),
        ("glide", "town", {"glide/nature": 2}, 8),
    ]


def test_pooled_is_every_image_once(paired):
    (cut,) = slices(paired, PAIRING, ())
    assert sorted(cut.rows) == list(range(len(paired)))
    assert list(cut.labels) == list(paired["label"].to_numpy()[cut.rows])
    assert cut.generators == ("ADM", "dalle", "glide")
    assert cut.domains == ("sky", "town")


def test_controls_are_in_no_slice(frame):
    """Reals that the pairing names for no generator must not move a comparing number."""
    samples = frame(("photo", "sky", 0, 3), ("resampled", "resampled", 0, 5), ("g", "sky", 1, 4))
    pairing = {"g": ("photo",)}
    for axes in ((), ("generator",), ("domain",), ("generator", "domain")):
        (cut,) = slices(samples, pairing, axes)
        assert content(samples, cut)[2:] == ({"photo": 3}, 4)
        assert cut.domains == ("sky",)


def test_pooling_slices_counts_every_image_once(paired):
    cuts = slices(paired, PAIRING, ("generator",))
    whole = pool(paired, cuts)
    assert list(whole.rows) == list(slices(paired, PAIRING, ())[0].rows)
    assert set(pool(paired, cuts[:1]).rows) == set(cuts[0].rows)


def test_data_without_domains_have_one_domain_all(pocket, pairing):
    (by_domain,) = slices(pocket, pairing, ("domain",))
    assert (by_domain.generator, by_domain.domain) == (POOLED, POOLED)
    both = slices(pocket, pairing, ("generator", "domain"))
    assert [(cut.generator, cut.domain) for cut in both] == [
        ("glide", POOLED),
        ("sd14", POOLED),
        ("vae", POOLED),
    ]


def test_images_without_a_domain_among_others_are_named_so(frame):
    samples = frame(("real", "", 0, 2), ("real", "sky", 0, 2), ("g", "sky", 1, 2), ("g", "", 1, 1))
    found = [content(samples, cut) for cut in slices(samples, {"g": ["real"]}, ("domain",))]
    assert found == [
        (POOLED, NO_DOMAIN, {"real": 2}, 1),
        (POOLED, "sky", {"real": 2}, 2),
    ]


def test_a_real_source_named_like_a_generator_stays_real(frame):
    samples = frame(("g", "", 0, 2), ("g", "", 1, 3))
    (cut,) = slices(samples, {"g": ["g"]})
    assert (len(cut.real_rows), len(cut.fake_rows)) == (2, 3)


def test_slices_do_not_depend_on_the_order_of_rows(paired):
    shuffled = paired.sample(frac=1, random_state=4).reset_index(drop=True)
    for by in (("generator",), ("domain",), ("generator", "domain")):
        for one, two in zip(
            slices(paired, PAIRING, by), slices(shuffled, PAIRING, by), strict=True
        ):
            assert content(paired, one) == content(shuffled, two)


def test_bad_requests_are_refused(paired, frame):
    with pytest.raises(ValueError, match="'dalle'"):
        slices(paired, {"ADM": ("ADM/nature",), "glide": ("laion",)})
    with pytest.raises(ValueError, match="by must hold"):
        slices(paired, PAIRING, ("class",))
    with pytest.raises(ValueError, match="by must hold"):
        slices(paired, PAIRING, "generator")
    with pytest.raises(ValueError, match="by must hold"):
        slices(paired, PAIRING, ("domain", "domain"))
    with pytest.raises(ValueError, match="domain"):
        slices(paired.drop(columns="domain"), PAIRING)
    with pytest.raises(ValueError, match="labels must be 0"):
        slices(paired.assign(label=2), PAIRING)
    with pytest.raises(ValueError, match='generator is named "all"'):
        slices(frame(("real", "", 0, 1), ("all", "", 1, 1)), {"all": ["real"]})
    with pytest.raises(ValueError, match='domain is named "all"'):
        slices(frame(("real", "all", 0, 1), ("g", "all", 1, 1)), {"g": ["real"]})
