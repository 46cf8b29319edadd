"""A formula's text: its parts, what cannot be read, and that nothing in it is ever run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from hbm_stan.coefficients import intercept_place
from hbm_stan.data import Dataset
from hbm_stan.errors import HbmError, ModelError
from hbm_stan.formula import read_structure, with_formula
from hbm_stan.formula.parse import parse
from hbm_stan.formula.scopes import scopes_of
from hbm_stan.formula.words import _rounded
from hbm_stan.likelihoods.likelihood import MEAN, RATE


def test_the_parts_of_a_formula() -> None:
    formula = parse("s | trials(n) ~ 0 + `my x` * log(x + 1) + offset(log(e)) + (x || g) + (1 | a/b) + (1 | a:c)")
    assert str(formula.outcome) == "s"
    assert {role: str(node) for role, node in formula.additions.items()} == {"trials": "n"}
    assert [str(atom) for atom in formula.common.atoms] == ["my x", "log(x + 1)"]
    assert formula.common.text == "0 + v0 * v1"
    assert [str(node) for node in formula.offsets] == ["log(e)"]
    assert formula.factors == ("g", "a", "a:b", "a:c")
    assert [bar.correlated for bar in formula.bars] == [False, True, True]


def test_equal_terms_are_one_and_whitespace_means_nothing() -> None:
    assert parse("y~x+log( x )+log(x)+(1|g)").common == parse("y ~ x + log(x) + log(x) + ( 1 | g )").common
    assert parse("y ~ x +\n  (1 | g)").factors == ("g",)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("I(-x^2/(3 - (2 - x)))", "I(-x^2 / (3 - (2 - x)))"),
        ("I((x - 40)/10)", "I((x - 40) / 10)"),
        ("I(x**2)", "I(x^2)"),
        ("I(x - y - z + 1)", "I(x - y - z + 1)"),
        ("I(x/y/z*2)", "I(x / y / z * 2)"),
        ("I(x - (y - z))", "I(x - (y - z))"),
        ("I(-(x^2)*2)", "I(-x^2 * 2)"),
        ("I((-x)^2)", "I((-x)^2)"),
        ("I(x^y^2)", "I(x^y^2)"),
        ("I((x^y)^2)", "I((x^y)^2)"),
        ("I(x/(y*2))", "I(x / (y * 2))"),
        ("I(2^-x)", "I(2^(-x))"),
        ("scale(log(x))", "scale(log(x))"),
        ("poly(x, degree = 3)", "poly(x, 3)"),
        ("bs(log(x), df = 5, degree=2)", "bs(log(x), 5, degree = 2)"),
    ],
)
def test_expressions_are_read_as_arithmetic_is(written: str, read: str) -> None:
    assert str(parse(f"y ~ {written} + (1 | g)").common.atoms[0]) == read


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("", "needs an outcome, one ~ and terms"),
        ("y", "needs an outcome"),
        ("~ x + (1 | g)", "needs an outcome"),
        ("y ~ x ~ z", "needs an outcome"),
        ("y ~ x", "no grouping factor"),
        ("y ~ x + (1 |)", "a bar without a factor"),
        ("y ~ (| g)", "nothing varies in"),
        ("y ~ x + (1 | g", "opened at '\\(1 \\| g' is never closed"),
        ("y ~ x) + (1 | g)", "closed at .* that was never opened"),
        ("y ~ x | g", "brackets of its own"),
        ("y ~ x + + (1 | g)", "nothing follows a '\\+'"),
        ("y ~ x + (1 | g) +", "nothing follows a '\\+'"),
        ("y ~ x: + (1 | g)", "nothing follows ':'"),
        ("y ~ x:+z + (1 | g)", "'\\+' cannot stand after ':'"),
        ("y ~ x y + (1 | g)", "operator is missing before 'y'"),
        ("y ~ x (z) + (1 | g)", "x\\(\\) is no function"),
        ("y ~ 2 * x + (1 | g)", "the number 2 is no term.*I\\(2 \\* x\\)"),
        ("y ~ x2 + 3x + (1 | g)", "may not begin with a digit"),
        ("y ~ (1 | g | h)", "two bars"),
        ("y ~ (1 | factor(g))", "name of a column is expected"),
        ("y ~ (1 | 1)", "name of a column is expected"),
        ("y ~ (1 | g * h)", "Write a term for each factor"),
        ("y ~ (1 | g/g)", "nested in itself"),
        ("y ~ x - (1 | g)", "cannot be taken away"),
        ("y ~ x %in% z + (1 | g)", "per cent signs"),
        ("y ~ poly(x) + (1 | g)", "needs degree"),
        ("y ~ poly(x, 99) + (1 | g)", "1 to 30 are allowed"),
        ("y ~ poly(x, z) + (1 | g)", "must be a whole number, found 'z'"),
        ("y ~ poly(x, 2, dgree = 2) + (1 | g)", "no argument 'dgree'. Did you mean 'degree'"),
        ("y ~ log(poly(x, 2)) + (1 | g)", "poly\\(\\) cannot stand in another expression"),
        ("y ~ log(x, 2) + (1 | g)", "one argument"),
        ("y ~ I(x +) + (1 | g)", "ends where a column"),
        ("y ~ I(x : z) + (1 | g)", "':' cannot stand inside a number"),
        ("y ~ C() + (1 | g)", "C\\(\\) takes a column"),
        ("y ~ x:offset(e) + (1 | g)", "offset\\(\\) is a term of its own"),
        ("y ~ sqr(x) + (1 | g)", "sqr\\(\\) is no function of formulas. Did you mean 'sqrt'"),
        ("y ~ factor(x) + (1 | g)", "Here it is C\\(\\)"),
        ("y ~ np.log(x) + (1 | g)", "Here it is log\\(\\)"),
        ("y ~ s(x) + (1 | g)", "Here it is bs\\(\\)"),
        ("cbind(s, f) ~ (1 | g)", "successes \\| trials\\(n\\)"),
        ("y | weights(w) ~ (1 | g)", "'weights' after the bar of the left side. Allowed: 'trials', 'rate', 'se'"),
        ("y | trials ~ (1 | g)", "needs one column in brackets"),
        ("y | trials(n, m) ~ (1 | g)", "takes one column only"),
        ("y ~ `x + (1 | g)", "never closed"),
        ("y ~ " + "x + " * 3000 + "(1 | g)", "characters"),
        ("y ~ " + "(" * 60 + "x" + ")" * 60 + " + (1 | g)", "more than 40 deep"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words(formula: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        parse(formula)


# Each would write a file, were it evaluated by Python; {} stands for the file.
CODE = (
    "open('{}', 'w').write('x')",
    "I(open('{}', 'w').write('x'))",
    "__import__('os').system('touch {}')",
    "__import__('os')",
    "`__import__('os').system('touch {}')`",
    "`open('{}', 'w')`",
    "{{open('{}', 'w')}}",
    "{{__import__('os').system('touch {}')}}",
    "(lambda: open('{}', 'w'))()",
    "lambda: open('{}', 'w')",
    "x.__class__.__mro__[1].__subclasses__()",
    "x.to_csv('{}')",
    "log(x.to_csv('{}'))",
    "log(`x.to_csv('{}')`)",
    "I(`open('{}','w').write('x')`)",
    "C(x, ref = \"' + str(open('{}', 'w')) + '\")",
    "C(x, contr.treatment(open('{}', 'w')))",
    "C(`x, open('{}', 'w')`)",
    "poly(x, open('{}', 'w'))",
    "poly(x, 2, raw = open('{}', 'w'))",
    "bs(x, knots = [open('{}', 'w')])",
    'eval(\'open("{}", "w")\')',
    "exec(\"open('{}', 'w')\")",
    "x if open('{}', 'w') else x",
    "[open('{}', 'w') for _ in x]",
    "f\"{{open('{}', 'w')}}\"",
    "x @ open('{}', 'w')",
    "(w := open('{}', 'w'))",
    "v0 + Q('open')",
    "np.savetxt('{}', x)",
    "x\u2028open('{}', 'w')",
    "hashed(x, levels=open('{}', 'w'))",
)


@pytest.mark.parametrize("code", CODE)
@pytest.mark.parametrize(
    "place", [
        "y ~ {} + (1 | g)", "{} ~ x + (1 | g)", "y ~ x + ({} | g)", "y ~ x + (1 | {})", "y | trials({}) ~ (1 | g)",
        "y ~ x + offset({}) + (1 | g)",
    ],
)  # fmt: skip
def test_code_is_refused_and_never_run(code: str, place: str, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    frame = pd.DataFrame({"y": [1.0, 2, 4, 7], "x": [1.0, 2, 3, 5], "g": ["a", "b", "a", "b"]})
    dataset = Dataset.from_frame(frame, formula=place.replace("{}", code.format(witness)))
    with pytest.raises(HbmError):
        read_structure(with_formula(dataset), known_residual=False)
    assert not witness.exists()


def test_even_a_column_named_as_code_is_only_a_column(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    name = f"open('{witness}', 'w')"
    frame = pd.DataFrame({"y": [1.0, 2, 4, 7], name: [1.0, 2, 3, 5], "g": ["a", "b", "a", "b"]})
    dataset = with_formula(Dataset.from_frame(frame, formula=f"y ~ I(`{name}`^2) + `{name}` + (1 | g)"))
    design = read_structure(dataset, known_residual=False).design
    assert not witness.exists()
    assert design.names == ("intercept", f"I({name}^2)", name)
    assert (design.X[:, 1] + design.means[1]).tolist() == [1, 4, 9, 25]


def test_the_library_sees_made_up_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import formulaic

    seen: list[str] = []
    original = formulaic.Formula

    def recorded(text: str, **options: object) -> object:
        seen.append(text)
        return original(text, **options)

    monkeypatch.setattr(formulaic, "Formula", recorded)
    scopes_of(parse("y ~ `x; open()` * log(z) + C(a, ref = 'open()') - 1 + (1 | g)").common, [False, False, True])
    assert seen == ["v0 * v1 + v2 - 1"]


def test_categories_are_coded_as_in_r() -> None:
    def scopes(text: str, *categories: bool) -> list[object]:
        return list(scopes_of(parse(f"y ~ {text} + (1 | g)").common, categories))

    assert scopes("a", True) == [(), ((0, True),)]
    assert scopes("0 + a", True) == [((0, False),)]
    assert scopes("x * a", False, True) == [(), ((0, False),), ((1, True),), ((0, False), (1, True))]
    assert scopes("a:x", True, False) == [(), ((0, False), (1, False))]
    assert scopes("x * a - x", False, True) == [(), ((1, True),), ((0, False), (1, False))]
    assert scopes("a / b", True, True) == [(), ((0, True),), ((0, False), (1, True))]
    assert scopes("1") == [()]
    assert scopes("0") == []


def test_an_intercept_stands_at_the_mean_of_the_only_column() -> None:
    frame = pd.DataFrame(
        {"y": [1.0, 2.0, 4.0] * 3, "x": [1.0, 2.0, 5.0] * 3, "k": [*"abababba", "a"], "g": list("pqrpqrpqr")}
    )

    def place(formula: str) -> str:
        design = read_structure(with_formula(Dataset.from_frame(frame, formula=formula)), known_residual=False).design
        assert design is not None
        return intercept_place(design)

    assert place("y ~ x + (1 | g)") == "at the mean of x"
    assert place("y ~ log(x) + (1 | g)") == "at the mean of log(x)"
    assert place("y ~ x + k + (1 | g)") == "at the means of the columns"
    assert place("y ~ k + (1 | g)") == "at the means of the columns"


def test_a_mean_that_is_only_rounding_is_shown_as_0() -> None:
    assert (_rounded(5.551e-17, 0.2), _rounded(33.4615, 14.0), _rounded(-0.00022, 1.0)) == ("0", "33.46", "-0.00022")


def test_a_column_that_is_called_count_has_a_rate_and_no_rate_of_count() -> None:
    assert (RATE.of_outcome("count"), RATE.of_outcome("calls"), MEAN.of_outcome("count")) == (
        "rate", "rate of calls", "mean count",
    )  # fmt: skip
