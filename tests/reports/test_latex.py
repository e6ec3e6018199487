import re
from dataclasses import replace

import pytest

from ablab.reports.latex import as_latex, escape


def body(text):
    """The rows between \\midrule and \\bottomrule, as cells."""
    rows = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    return [re.split(r"(?<!\\) & ", row.removesuffix(r" \\")) for row in rows]


def test_the_table_is_booktabs_and_every_row_has_every_column(golden):
    text = as_latex(golden)
    columns = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1]
    assert columns == "llrrrrrr"
    assert {len(row) for row in body(text)} == {8}
    assert [row[0] for row in body(text)] == [arm.name for arm in golden.arms]
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\caption{", r"\end{table}"):
        assert text.count(rule) == 1
    assert body(text)[1] == [
        "frelu",
        "helps; by at least 0.01",
        "+0.032",
        "{[}+0.028, +0.036{]}",
        r"\textless{} 0.001",
        "5",
        "0.545",
        "1.80 M",
    ]
    assert body(text)[2][3] == "{[}$-$0.077, $-$0.047{]}"
    assert "not new images" in text


def test_braces_and_environments_are_balanced(golden):
    text = re.sub(r"\\[{}]", "", as_latex(golden))
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    assert begun == ended[::-1]


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("a_b & 50%", r"a\_b \& 50\%"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("$x^2$ ~#", r"\$x\textasciicircum{}2\$ \textasciitilde{}\#"),
        ("two\nlines", "two lines"),
        ("[b]", "{[}b{]}"),
    ],
)
def test_names_are_text(golden, name, printed):
    assert escape(name) == printed
    arms = (golden.arms[0], replace(golden.arms[1], name=name), *golden.arms[2:])
    assert body(as_latex(replace(golden, arms=arms, name=name)))[1][0] == printed


def test_a_study_under_way_and_one_without_costs_have_tables(golden):
    bare = replace(golden, arms=tuple(replace(arm, verdict=None, plan={}, runs={}) for arm in golden.arms))
    assert {len(row) for row in body(as_latex(bare))} == {7}
    assert "nan" not in as_latex(bare).lower()
