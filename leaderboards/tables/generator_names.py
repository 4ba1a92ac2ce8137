"""When two names mean one generator: spellings, versions, and names that name nothing.

Cards and data sets come from different hands: ``sd14``, ``SD1.4``, ``sdv4`` and
``CompVis/stable-diffusion-v1-4`` are one generator. A board shows every name as it was given; only
the comparison of names is made here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words that say that an image is AI-generated, or nothing at all, but not by what.
_NAMELESS: Final = _set_of(
    "unknown unk unnamed unspecified undefined undetermined notstated notspecified anonymous "
    "none null na nan nil tbd other others misc miscellaneous various mixed mixture several "
    "multiple fake fakes fakeimage fakeimages 1fake ai aiimage aiimages aigc aigenerated "
    "generated generatedimage generatedimages generator generators generative synthetic "
    "synthetics syntheticimage syntheticimages synthesized synthesised unknowngenerator "
    "unknownmodel model models aiart aigeneratedart aigeneratedimage aigeneratedimages"
)

# Families with versions, by the letters that stand before the version.
_FAMILIES: Final = {
    "sd": "sd", "stablediffusion": "sd", "midjourney": "midjourney", "mj": "midjourney",
    "dalle": "dalle", "openaidalle": "dalle", "flux": "flux", "firefly": "firefly",
    "adobefirefly": "firefly", "imagen": "imagen", "googleimagen": "imagen", "ideogram": "ideogram",
    "kandinsky": "kandinsky", "playground": "playground", "pixart": "pixart", "recraft": "recraft",
    "seedream": "seedream", "stylegan": "stylegan", "stargan": "stargan", "gptimage": "gptimage",
}  # fmt: skip

# Name -> other spellings, all of letters and digits only. A name may hold a version and a variant.
_SPELLINGS: Final = {
    "adm": "guided guideddiffusion ablateddiffusion ablateddiffusionmodel imagenetai0508adm",
    "biggan": "imagenetai0419biggan",
    "cogvideox": "cogvideo",
    "crn": "cascadedrefinement cascadedrefinementnetworks",
    "dallemini": "craiyon",
    "ddpm": "denoisingdiffusion",
    "deepfloyd": "deepfloydif deepfloydifxl deepfloydifixl deepfloydifixl10",
    "flux 1 dev": "fluxdev flux1d fluxd",
    "flux 1 pro": "fluxpro",
    "flux 11 pro": "fluxpro11",
    "flux 1 schnell": "fluxschnell flux1s fluxs",
    "gaugan": "spade",
    "glide": "imagenetglide glide10027 glide5027 glide10010",
    "gptimage 1": "gpt4o gpt4oimage chatgpt4o openai4o",
    "iddpm": "improveddiffusion improvedddpm",
    "imle": "implicitmaximumlikelihood",
    "latentdiffusion": "ldm ldm100 ldm200 ldm200cfg latentdiffusionmodel ldmtext2imlarge256",
    "midjourney": "imagenetmidjourney",
    "kandinsky 22": "kandinsky22decoder",
    "nanobanana": "gemini25flashimage",
    "pixart alpha": "pixartalpha pixart\u03b1 pixartxl21024ms pixartxl2512x512",
    "playground 25": "playground251024pxaesthetic",
    "pixart sigma": "pixartsigma pixart\u03c3",
    "progan": "pggan proggan progressivegan progressivegrowingofgans",
    "san": "secondorderattention",
    "sd 1": "sd1x stablediffusion1x",
    "sd 14": "sdv4 imagenetai0419sdv4",
    "sd 15": "sdv5 imagenetai0424sdv5",
    "sdxl": "sdxl1 sdxl10 sdxlbase sdxlbase1 sdxlbase10 sdxl10base stablediffusionxl stablediffusionxl1 "
    "stablediffusionxl10 stablediffusionxlbase stablediffusionxlbase1 stablediffusionxlbase10",
    "sdturbo": "stablediffusionturbo",
    "sdxlturbo": "stablediffusionxlturbo",
    "seeinginthedark": "sitd seeingdark",
    "stargan 1": "stargan",
    "stylegan 1": "stylegan",
    "vqdm": "vqdiffusion imagenetai0419vqdm",
    "whichfaceisreal": "wfir whichfaceis",
    "wukong": "imagenetai0424wukong",
    "wuerstchen": "wurstchen",
}  # fmt: skip

# Generators that are known and have one spelling only, once case, blanks and hyphens are dropped.
_PLAIN: Final = _set_of(
    "attgan began blendgan blendface bria chatgpt cogview controlnet cosxl cramergan cyclegan ddgan ddim "
    "deepfake diffusion diffusiongan dreambooth dreamstudio e4s edm facedancer faceswap fastgan fsgan "
    "gansformer gemini gigagan giraffe grok hififace hunyuandit infomaxgan instantid instructpix2pix "
    "inswapper januspro kolors leonardoai lsgan lumina maskgit mmdgan neuraltextures nightcafe "
    "omnigen photomaker pndm "
    "projectedgan qwenimage realesrgan relgan rqvae sagan sana sdedit seededit simswap sngan span ssd1b "
    "stablecascade starganv2 styleganxl stylegant stylenerf styleswin tamingtransformer unidiffuser vae "
    "vaegan vdvae vitgan vqgan vqvae wgan wgangp zimage"
)

# Versions that people use for all that begin with them: nobody published an "SD 1.0".
_SERIES: Final = frozenset({("sd", "1")})


class GeneratorName(NamedTuple):
    """A generator's name in normal form.

    Attributes:
        family: The generator, or the family of its versions, in lower-case letters and digits.
        version: Its digits without trailing zero; "" where none is given.
        variant: What stands behind the version, such as "turbo"; "" for none.
    """

    family: str
    version: str = ""
    variant: str = ""


@lru_cache(maxsize=65536)
def parse_name(name: str) -> GeneratorName | None:
    """Bring a generator's name to normal form; None for one that names no generator.

    Example:
        >>> parse_name("stable_diffusion_v_1_4") == parse_name("SD1.4") == parse_name("sdv4")
        True
        >>> parse_name("unknown") is None
        True
        >>> parse_name("Midjourney v6.1")
        GeneratorName(family='midjourney', version='61', variant='')
    """
    plain = _plain(name).removesuffix("diffusers")
    if not re.search(r"[^\W_]", plain) or plain.replace(".", "") in _NAMELESS:
        return None
    # "owner/model": the owner matters only where the model is none of the known ones.
    model = _plain(name.rstrip("/\\").replace("\\", "/").rpartition("/")[2])
    model = model.removesuffix("diffusers")
    return _of_table(plain) or _of_table(model) or GeneratorName(_without_v(plain))


def _of_table(plain: str) -> GeneratorName | None:
    """Look a plain name up among known spellings, then among families with versions."""
    spelled = plain.replace(".", "")
    for spelling in (spelled, _without_v(spelled)):
        if spelling in _BY_SPELLING:
            return _BY_SPELLING[spelling]
    if spelled in _FAMILIES:
        return GeneratorName(_FAMILIES[spelled])
    parts = re.fullmatch(r"([a-z]+)(\d+)(\w*)", _without_v(spelled))
    if parts is None or parts[1] not in _FAMILIES:
        return None
    return GeneratorName(_FAMILIES[parts[1]], _short(parts[2]), parts[3])


def _plain(name: str) -> str:
    """Keep letters and digits, in lower case and without accents, and a point between two digits."""
    text = unicodedata.normalize("NFKD", name).casefold()
    text = "".join(char for char in text if not unicodedata.combining(char))
    text = re.sub(r"(?<=\d)[\W_]+(?=\d)", ".", text)
    return re.sub(r"(?!(?<=\d)\.(?=\d))[\W_]+", "", text)


def _without_v(plain: str) -> str:
    """Drop the "v" or "version" before a version."""
    return re.sub(r"(?<=[a-z])v(?:er|ersion)?(?=\d)", "", plain)


def _short(version: str) -> str:
    return version[:-1] if len(version) > 1 and version.endswith("0") else version


def _by_spelling() -> Mapping[str, GeneratorName]:
    names: dict[str, GeneratorName] = {}
    for text, spellings in _SPELLINGS.items():
        family, *version = text.split()
        # "pixart alpha" has a variant and no version.
        parts = ["", *version] if version and not version[0].isdecimal() else version
        name = GeneratorName(family, *parts)
        names |= dict.fromkeys([text.replace(" ", ""), *spellings.split()], name)
    return names


_BY_SPELLING: Final = _by_spelling()
_LISTED: Final = frozenset(
    [*_FAMILIES.values(), *(name.family for name in _BY_SPELLING.values()), *_PLAIN]
)
_BEGINNINGS: Final = (
    "stablediffusion", "sdxl", "flux", "midjourney", "dalle", "stylegan", "pixart", "kandinsky", "imagen3",
    "imagen4", "ideogram", "playground", "hunyuan", "seedream", "nanobanana", "gptimage",
    "deepfloyd", "biggan",
)  # fmt: skip


def is_listed(name: str) -> bool:
    """Tell whether a name is that of a generator which the list of aliases knows.

    Example:
        >>> is_listed("sdv4"), is_listed("Midjourney v6"), is_listed("gen_0"), is_listed("fake")
        (True, True, False, False)
    """
    generator = parse_name(name)
    if generator is None:
        return False
    # "sdxl-lightning" is none of the spellings, and a generator all the same.
    return generator.family in _LISTED or generator.family.startswith(_BEGINNINGS)


def is_among(name: str, names: Iterable[str]) -> bool | None:
    """Tell whether a generator is one of those named.

    Args:
        name: A generator.
        names: Generators, in any spelling.

    Returns:
        None where it cannot be known: the name says nothing, one of the names says nothing, or one
        leaves open what the other states ("Midjourney" and "midjourney-v6").

    Example:
        >>> is_among("sdv4", ["SD 1.4"]), is_among("glide", ["SD 1.4"]), is_among("fake", ["fake"])
        (True, False, None)
    """
    return _is_among(name, frozenset(names))


@lru_cache(maxsize=65536)
def _is_among(name: str, names: frozenset[str]) -> bool | None:
    generator, others = parse_name(name), _families(names)
    if generator is None:
        return None
    relatives = others.get(generator.family, frozenset())
    if generator in relatives:
        return True
    if "" in others or any(_may_be_one(generator, other) for other in relatives):
        return None
    return False


@lru_cache(maxsize=256)
def _families(names: frozenset[str]) -> Mapping[str, frozenset[GeneratorName]]:
    """Group names by family; the key "" is there where a name says nothing."""
    members: dict[str, set[GeneratorName]] = {}
    for name in names:
        generator = parse_name(name)
        members.setdefault(generator.family if generator else "", set()).add(
            generator or GeneratorName("")
        )
    return {family: frozenset(generators) for family, generators in members.items()}


def _may_be_one(one: GeneratorName, other: GeneratorName) -> bool:
    """Whether one of two different names of a family leaves open what the other states."""
    if one.version == other.version:
        return not (one.variant and other.variant)
    vague, exact = sorted((one, other), key=lambda name: len(name.version))
    is_series = (vague.family, vague.version) in _SERIES
    is_open = not vague.version or (is_series and exact.version.startswith(vague.version))
    return is_open and not vague.variant


def strangers(names: Iterable[str], card: Iterable[str], cards: Iterable[str]) -> frozenset[str]:
    """List the generators of a data set of which a detector's card cannot say whether it saw them.

    Nobody knows what a name stands for that is on no list and on no card: it may be another name of a
    generator that the detector was trained on. Where the card and the data set speak the same language,
    another name is another generator: the card knows such a name of the data set, or the data set names
    every generator of the card.

    Args:
        names: Generators of the data set.
        card: Generators on the detector's card.
        cards: Generators on the cards of all detectors at hand.

    Example:
        >>> strangers(["gen_0", "glide"], ["SD 1.4"], ["SD 1.4"])
        frozenset({'gen_0'})
        >>> strangers(["gen_0", "sdv4"], ["SD 1.4"], ["SD 1.4"])
        frozenset()
    """
    everyone, trained, known = frozenset(names), frozenset(card), frozenset(cards)
    odd = {name for name in everyone if parse_name(name) is not None and not is_listed(name)}
    if any(is_among(name, trained) for name in odd):
        return frozenset()
    if trained and all(is_among(name, everyone) for name in trained):
        return frozenset()
    return frozenset(name for name in odd if not is_among(name, known))


def is_same_domain(one: str, other: str) -> bool:
    """Tell whether two names of domains differ in nothing but case, blanks and hyphens.

    Example:
        >>> is_same_domain("Street-Photos", "street photos"), is_same_domain("faces", "food")
        (True, False)
    """
    return one == other or (bool(_plain(one)) and _plain(one) == _plain(other))
