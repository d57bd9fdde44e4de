"""The Chinese lessons say what the English ones say, and their code is the same."""

import json
import re
import subprocess
import sys
from collections import Counter

import nbformat
import pytest
import yaml
from babel.messages.pofile import write_po
from chinese import english_left, is_chinese
from planted import WRONG

from course_tools.author import translation
from course_tools.author.translation import CHECKS, HAN, messages, names, problems, update
from recsys_helpers.checks import EXERCISES, CheckFailed, check, hint, language, progress
from recsys_helpers.checks import catalogue as catalogue_module
from recsys_helpers.checks.catalogue import LOCALE, lookup, read_catalogue
from recsys_helpers.course import chinese as chinese_course
from recsys_helpers.course import notebooks, reset
from recsys_helpers.errors import CourseError
from recsys_helpers.paths import ROOT

GLOSSARY = yaml.safe_load((ROOT / "docs" / "glossary.yaml").read_text("utf-8"))
NOTEBOOKS = [(kind, path.stem) for kind in chinese_course.KINDS for path in sorted((ROOT / kind).glob("0*.ipynb"))]
NOTEBOOKS = [(kind, name) for kind, name in NOTEBOOKS if ".backup" not in name]


@pytest.fixture
def locale(tmp_path, monkeypatch):
    """A folder of catalogues of one's own, with that of lesson 01 in it."""
    original = LOCALE / "01_self_attention.po"
    for module in (catalogue_module, translation):
        monkeypatch.setattr(module, "LOCALE", tmp_path)
    (tmp_path / original.name).write_bytes(original.read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", names())
def test_every_text_has_a_current_translation_that_lost_nothing(name):
    catalogue = read_catalogue(name)
    for context, english in messages(name):
        chinese = lookup(catalogue, context, english)
        assert chinese, f"{context} waits for a translator: python -m course_tools translations"
        if name == CHECKS:
            assert Counter(language.GAP.findall(chinese)) == Counter(language.GAP.findall(english)), english
            english, chinese = (language.GAP.sub(" ", text).replace("**", "^") for text in (english, chinese))
            if english == chinese:  # code, or what is typed as an answer
                continue
        assert not problems(english, chinese), (context, english)
        worded = re.search("[A-Za-z]{2}", english)
        assert re.search(HAN, chinese) or not worded, f"{context} is not in Chinese: {english}"
    assert len(catalogue) == len(messages(name)), "python -m course_tools translations drops what is gone"


@pytest.mark.parametrize("kind, name", NOTEBOOKS)
def test_only_prose_differs(kind, name):
    english = notebooks.read(ROOT / kind / f"{name}.ipynb")
    chinese, missing = chinese_course.in_chinese(notebooks.read(ROOT / kind / f"{name}.ipynb"), kind, name)
    assert not missing
    assert [cell.id for cell in chinese.cells] == [cell.id for cell in english.cells]
    for ours, theirs in zip(english.cells, chinese.cells, strict=True):
        if ours.cell_type == "code":
            assert ours == theirs
        else:
            assert ours.source != theirs.source
            assert chinese_course.split(ours.source)[1] == theirs.source.partition(chinese_course.REFERENCES[1])[2]


@pytest.mark.parametrize("entry", GLOSSARY, ids=lambda entry: entry["term"])
def test_a_term_is_called_as_in_the_glossary(entry):
    """Where a lesson explains a term in bold, the Chinese lesson has the glossary's word for it in the same cell."""
    forms = "|".join(re.escape(form) + "s?" for form in [entry["term"], *entry.get("forms", [])])
    for name in (path.stem for path in notebooks.lessons()):
        catalogue = read_catalogue(name)
        for context, english in messages(name):
            if re.search(rf"\*\*({forms})\*\*", english, re.I):
                chinese = lookup(catalogue, context, english).replace("**", "")
                assert any(word.lower() in chinese.lower() for word in entry["zh"]), (context, entry["zh"])


@pytest.mark.parametrize(
    "english, chinese, told",
    [
        ("Two towers.", "双塔。", None),
        ("A gain of .02 in 10 films, `k=3`, $x^2$.", "10 部影片里增加 .02，`k=3`，$x^2$。", None),
        ("A gain of .02.", "有所增加。", r"number: missing \{'.02': 1\}"),
        ("See $x^2$.", "见 $x^3$。", "formula: missing"),
        ("Call `fit`.", "调用 fit。", "code: missing"),
        ("[lesson 01](01.ipynb)", "[第 01 课](02.ipynb)", "link: missing"),
        ("## Title", "### 标题", "heading: missing"),
        ("- one\n- two", "- 一、二", "list item: missing"),
        ("| a |\n|---|\n| b |", "| 甲 |\n|---|", "row of a table: missing"),
        ("**Bold** text", "粗体", "bold: missing"),
        ("**Step.** Then", "**步骤。**然后", "emphasis does not close"),
        ("Yes, no", "是,否", "half-width punctuation"),
        ("With LSTM", "用LSTM", "no space between"),
    ],
)
def test_what_a_translation_spoils_is_told(english, chinese, told):
    found = problems(english, chinese)
    assert not found if told is None else any(re.search(told, problem) for problem in found), found


def test_english_that_changed_waits_for_a_translator(locale, monkeypatch):
    name, changed = "01_self_attention", "notebooks/vectors"
    assert update(name) == []
    texts = [(c, f"{text} And more." if c == changed else text) for c, text in messages(name)]
    monkeypatch.setattr(translation, "messages", lambda _: [*texts, ("notebooks/new", "A new cell.")])
    before = lookup(read_catalogue(name), changed, texts[3][1].removesuffix(" And more."))
    assert update(name) == [changed, "notebooks/new"]
    message = read_catalogue(name).get(dict(texts)[changed], changed)
    assert message.fuzzy and message.string and before in (message.string, None), (
        "the old Chinese is kept as a proposal"
    )
    assert lookup(read_catalogue(name), changed, dict(texts)[changed]) is None
    assert update(name) == [changed, "notebooks/new"], "a second call changes nothing"


def test_an_untranslated_cell_stays_english_and_is_named(locale, tmp_path):
    catalogue = read_catalogue("01_self_attention")
    catalogue.delete(dict(messages("01_self_attention"))["notebooks/six"], "notebooks/six")
    with (locale / "01_self_attention.po").open("wb") as file:
        write_po(file, catalogue)
    lesson, missing = chinese_course.in_chinese(
        notebooks.read(notebooks.find_lesson("01")), "notebooks", "01_self_attention"
    )
    assert missing == ["notebooks/six"]
    assert next(cell for cell in lesson.cells if cell.id == "six").source.startswith("## Six films")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"this is no catalogue\n"])
def test_a_broken_catalogue_is_one_clear_error(locale, content):
    (locale / "01_self_attention.po").write_bytes(content)
    with pytest.raises(CourseError, match=r"01_self_attention\.po is no catalogue .*git checkout"):
        read_catalogue("01_self_attention")


def test_chinese_notebooks_on_demand_leave_a_students_work_alone(tmp_path):
    command = [sys.executable, "-m", "recsys_helpers", "chinese", "--out", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{len(NOTEBOOKS)} notebooks written into {tmp_path}") and "stay English" not in said
    exercise = tmp_path / "exercises" / "01_self_attention.ipynb"
    notebook = nbformat.read(exercise, 4)
    assert "练习" in notebook.cells[0].source and notebook.metadata["recsys"]["language"] == "zh_CN"
    nbformat.validate(notebook)
    exercise.write_text(json.dumps(notebook | {"cells": notebook.cells[:3]}), "utf-8")
    again = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "0 notebooks written" in again and "--again" in again
    assert len(nbformat.read(exercise, 4).cells) == 3
    subprocess.run([*command, "--again"], capture_output=True, check=True)
    assert len(nbformat.read(exercise, 4).cells) == len(notebook.cells)


def test_an_exercise_put_back_keeps_its_language(tmp_path):
    chinese_course.make(tmp_path)
    path, backup = reset.reset("01", 1, tmp_path / "exercises")
    cell = next(cell for cell in notebooks.read(path).cells if cell.id == "ex-01-1-task")
    assert "练习 01.1" in cell.source and backup.exists()


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_a_check_speaks_chinese(name, monkeypatch, capsys):
    """Its refusal of one mistake and its hints; tests/checks/test_planted.py has the message of every mistake."""
    monkeypatch.setenv("RECSYS_LANGUAGE", "zh_CN")
    answers, _ = WRONG[name][0]
    with pytest.raises(CheckFailed) as failure:
        check(name, *answers)
    head, _, said = str(failure.value).partition(": ")
    assert head == f"{name} 还不对" and is_chinese(said)
    task = EXERCISES[name]
    for number, tip in enumerate(task.hints, 1):
        hint(name, number)
        said = capsys.readouterr().out
        assert said.startswith(f"{name} 提示 {number} / {len(task.hints)}：")
        assert not english_left(said) and (re.search(HAN, said.partition("：")[2]) or ";" in tip)  # or code
    assert not english_left(language.say(task.why)) and re.search(HAN, language.say(task.title))


@pytest.mark.parametrize(
    "english, chinese",
    [
        # a label fills the first gap, an afterthought the one that follows another gap
        ("the weights should have shape (2, 3); yours has (3, 2), with the axes swapped.", "权重的形状应为 (2, 3)，"),
        ("return 2 results in this order: mu, the users' biases.", "请返回 2 个结果，顺序如下：mu、用户的偏置。"),
        # what a student wrote is no message, whatever punctuation is in it
        ("give a number; 'a; b of c: d' is none.", "请给一个数；'a; b of c: d' 不是数。"),
        ("an unknown message; of nobody", "an unknown message; of nobody"),
    ],
)
def test_a_message_is_known_by_its_template(english, chinese, monkeypatch):
    monkeypatch.setenv("RECSYS_LANGUAGE", "zh_CN")
    assert language.say(english).startswith(chinese)
    monkeypatch.setenv("RECSYS_LANGUAGE", "en")
    assert language.say(english) == english


def test_a_crash_and_the_map_are_told_in_chinese(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RECSYS_LANGUAGE", "zh_CN")
    kept = tmp_path / "progress"
    monkeypatch.setenv("RECSYS_PROGRESS", str(kept))
    with pytest.raises(
        CheckFailed, match=r"(?s)01\.1 你的代码中途出错停下了: ZeroDivisionError: .*出错的行：.*调用方式："
    ) as failure:
        check("01.1", lambda scores: 1 / 0)
    assert "in line" not in str(failure.value)
    progress()
    head, first, *_, following = capsys.readouterr().out.splitlines()
    assert head.startswith("练习：✓ 已完成") and following.startswith("下一题：01.1 ")
    assert first.startswith("01 self attention") and first.endswith(" 0/7") and "~ · ·" in first
    kept.write_text("".join(f"{name} done\n" for name in EXERCISES))
    progress()
    assert capsys.readouterr().out.splitlines()[-1] == "全部完成"


def test_the_language_is_that_of_the_notebooks_beside_the_kernel(tmp_path, monkeypatch):
    monkeypatch.delenv("RECSYS_LANGUAGE", raising=False)
    chinese_course.make(tmp_path)
    for folder, expected in ((tmp_path / "exercises", "zh_CN"), (ROOT / "exercises", "en"), (tmp_path, "en")):
        monkeypatch.chdir(folder)
        assert language.language() == expected
    for name, expected in {"zh": "zh_CN", "zh-cn": "zh_CN", "zh_CN.UTF-8": "zh_CN", "EN_us": "en", "fr": "en"}.items():
        monkeypatch.setenv("RECSYS_LANGUAGE", name)
        assert language.language() == expected
