"""The course as a site, in two languages: `python -m course_tools site`. It needs no server and no network.

`make` gathers the pages as they lie in the repository, so that their links hold, and calls Sphinx. Notebooks stay plain
Jupyter; what only a site can do (references of formulas, glossary, bibliography) is added while Sphinx reads them.
"""

import base64
import html
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import yaml

from course_tools.author.translation import PAGES, page_in_chinese
from course_tools.publish import mathml
from recsys_helpers.checks.catalogue import LANGUAGE
from recsys_helpers.course import chinese, notebooks, run
from recsys_helpers.errors import CourseError
from recsys_helpers.evaluation.results import read_results
from recsys_helpers.files import replace_folder, scratch_folder
from recsys_helpers.paths import ROOT

DOCS, TEMPLATES = ROOT / "docs", Path(__file__).parent / "templates"
LANGUAGES = {"en": "English", "zh_CN": "中文"}
FOLDERS = {"en": "en", "zh_CN": "zh"}
# the picture of each lesson on the landing page, by cell
COVERS = {
    "00": "shares-plot",
    "01": "look-code",
    "02": "trap-plot",
    "03": "world-plot",
    "04": "person-plot",
    "05": "curve-plot",
    "06": "inside-plot",
    "07": "all-lies-code",
    "08": "reasons-code",
    "09": "catalogue-plot",
}
CAPTIONS = {
    "en": ("Lessons", "Exercises", "Reference", "For instructors"),
    "zh_CN": ("课程", "练习", "参考", "教师"),
}
WORDS = {
    "en": {"minutes": "min to run", "lesson": "Lesson {}"},
    "zh_CN": {"minutes": "分钟运行", "lesson": "第 {} 课"},
}
INSTRUCTORS = ("docs/instructors", "docs/mistakes", "docs/performance", "docs/reliability", "docs/jupyterhub/README")
# GitHub's pages need a file of this name, or leave out folders that begin with _; its words tell a site of ours
MARK, MARKED = ".nojekyll", "The course's site. `python -m course_tools site` replaces this folder as a whole.\n"
# Colab has TensorFlow for a GPU and JAX, which get the versions of these sets
COLAB_LOCKS = ("student", "scale", "gpu")
# what lessons import; Jupyter itself Colab has
COLAB_PACKAGES = (
    "tensorflow keras keras-nlp keras-hub jax pandas numpy scipy scikit-learn matplotlib ipywidgets pyarrow "
    "safetensors h5py faiss-cpu threadpoolctl ml-dtypes packaging platformdirs psutil typer"
)


def make(out: Path, repository: str | None = None, hub: str | None = None, branch: str = "main") -> Path:
    """Build the site, in English and Chinese; returns the page to open.

    Args:
        out: the folder of the site, replaced as a whole once the new one is complete.
        repository: https address of the course on GitHub, for buttons that start a lesson on Binder or Colab; by
            default that of the git remote `origin`, and without one there are no such buttons.
        hub: address of a JupyterHub set up as docs/jupyterhub says, for a button.

    Raises CourseError: a warning of Sphinx, such as a broken link (they all fail the build); lessons without outputs;
        `out` holds something that this command has not made.
    """
    out = out.resolve()
    _require_replaceable(out)
    repository = repository or _origin()
    if repository and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", repository):
        raise CourseError(f"repository {repository!r}: it has to look like https://github.com/owner/name")
    environment = os.environ | {"COURSE_BRANCH": branch}
    environment |= {"COURSE_REPOSITORY": repository or "", "COURSE_HUB": (hub or "").rstrip("/")}
    with scratch_folder(out) as scratch:
        _call_sphinx(scratch, environment)
        site = scratch / "site"
        site.mkdir()
        for folder in FOLDERS.values():
            os.replace(scratch / folder / "html", site / folder)
            if repository:
                _write_colab(scratch / folder / "source", site / folder / "colab", repository)
        (site / MARK).write_text(MARKED, "utf-8")
        shutil.copy(TEMPLATES / "front.html", site / "index.html")
        replace_folder(site, out)
    return out / "index.html"


def _require_replaceable(out: Path) -> None:
    """Only a folder that is absent, empty or an earlier site, with nothing put beside its files, is replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    mark, ours = out / MARK, {MARK, "index.html", *FOLDERS.values()}
    if not (mark.is_file() and mark.read_bytes() == MARKED.encode()):
        raise CourseError(f"{out} is no site of this command; remove it yourself, or choose another folder with --out")
    if others := sorted({path.name for path in out.iterdir()} - ours):
        raise CourseError(
            f"{out} is replaced as a whole, and the site has not made {', '.join(others)} in it; "
            "move that elsewhere, or choose another folder with --out"
        )


def _call_sphinx(scratch: Path, environment: dict[str, str]) -> None:
    """Gather and build both languages side by side. However this ends, no Sphinx is left running."""
    jobs = {}
    try:
        for language, folder in FOLDERS.items():
            source = scratch / folder / "source"
            gather(source, language)
            command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d"]
            # MyST-NB leaves a folder beside that of the pages, which is no part of the site
            command += [str(scratch / folder / "doctrees"), str(source), str(scratch / folder / "html")]
            spoken = environment | {"COURSE_LANGUAGE": language}
            jobs[folder] = subprocess.Popen(
                command, env=spoken, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        said = {folder: job.communicate()[0] for folder, job in jobs.items()}
    finally:
        for job in jobs.values():
            job.kill()  # does nothing to one that has ended
            job.wait()
    if failed := [folder for folder, job in jobs.items() if job.returncode]:
        raise CourseError(f"the site was not built ({', '.join(failed)}):\n" + "\n".join(said[f] for f in failed))


def _origin() -> str | None:
    """The address of the git remote `origin` if it is on GitHub."""
    command = ["git", "-C", str(ROOT), "remote", "get-url", "origin"]
    try:
        url = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.fullmatch(r"(?:https://github\.com/|git@github\.com:)([\w.-]+/[\w.-]+?)(?:\.git)?/?", url)
    return f"https://github.com/{found[1]}" if found else None


# ------------------------------------------------------------------------------------------------ gathering pages


def gather(source: Path, language: str) -> None:
    """Lay the pages of one language out in `source`, at the same places as in the repository."""
    for kind in chinese.KINDS:
        for path in (ROOT / kind / lesson.name for lesson in notebooks.lessons()):  # no backups of a student
            if not path.exists():
                continue
            notebook = notebooks.read(path)
            if language == LANGUAGE:
                notebook, _ = chinese.in_chinese(notebook, kind, path.stem)
            notebooks.write(notebook, source / kind / path.name)
    for path in [*DOCS.glob("*.md"), *(DOCS / "jupyterhub").iterdir(), *(ROOT / "datasets").glob("*.md")]:
        if path.is_file() and path.stem not in PAGES:
            target = source / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    for page in PAGES:
        text = (DOCS / f"{page}.md").read_text("utf-8")
        text = page_in_chinese(page) if language == LANGUAGE else text
        for name, fill in FILLS.items():
            text = text.replace(f"<!-- {name} -->", fill(language)) if f"<!-- {name} -->" in text else text
        (source / f"{page}.md").write_text(text, "utf-8")
    _write_api(source / "api")
    _write_covers(source / "covers")
    for name in ("conf.py", "references.bib"):
        shutil.copy(DOCS / name, source)
    for name in ("_static", "_templates"):
        shutil.copytree(DOCS / name, source / name)
    mathml.copy_letters(source / "_static")
    with (source / "_static" / "course.css").open("a", encoding="utf-8") as style:
        style.write(mathml.CSS)
    _copy_linked(source)
    terms = [word for entry in glossary() for word in entry["zh"]]
    (source / "words.txt").write_text("\n".join(f"{word} 100000" for word in terms) + "\n", "utf-8")


def _copy_linked(source: Path) -> None:
    """The repository's files that a page links to and that are no pages: readers can download them."""
    source = source.resolve()  # as are the targets, which would else never lie in it
    for page in [*source.rglob("*.md"), *source.rglob("*.ipynb")]:
        for link in re.findall(r"\]\(([\w./-]+\.\w+)\)", page.read_text("utf-8")):
            target = (page.parent / link).resolve()
            original = ROOT / target.relative_to(source) if target.is_relative_to(source) else target
            if original.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(original, target)


def _contents(language: str) -> str:
    """The tables of contents, which make the navigation."""
    lessons = [f"notebooks/{path.stem}" for path in notebooks.lessons()]
    exercises = [f"exercises/{path.stem}" for path in notebooks.solutions()]
    reference = ["results", "docs/your-own-data", "glossary", "bibliography", "datasets/README", "api/index"]
    parts = []
    for caption, pages in zip(CAPTIONS[language], (lessons, exercises, reference, INSTRUCTORS), strict=True):
        parts.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]))
    return "\n\n".join(parts)


def _cards(language: str) -> str:
    """The course map: a card for each lesson with its picture, its measured minutes and its headline result."""
    cards = [":::::{grid} 1 2 2 3", ":gutter: 3", ""]
    for path in notebooks.lessons():
        stored = notebooks.read(path)
        if "recsys" not in stored.metadata:
            raise CourseError(f"{path.stem} has no stored run; python -m course_tools store {path} makes one")
        minutes = f"{max(stored.metadata['recsys']['seconds'] / 60, 0.1):.1f} {WORDS[language]['minutes']}"
        headline = run.headline(read_results(stored))
        shown = chinese.in_chinese(stored, "notebooks", path.stem)[0] if language != "en" else stored
        title, _, rest = shown.cells[0].source.splitlines()[0].removeprefix("# ").replace("：", ": ").partition(": ")
        alt = html.escape(_cover(path).metadata["image/png"]["alt"]).replace("\n", " ")
        cards += [f"::::{{grid-item-card}} {title}", f":link: notebooks/{path.stem}", ":link-type: doc"]
        cards += [f":img-top: covers/{path.stem[:2]}.png", f":img-alt: {alt}", "", rest, ""]
        cards += [":::{card-footer}", f"{minutes} · {headline}", ":::", "::::", ""]
    return "\n".join([*cards, ":::::"])


def _glossary(language: str) -> str:
    """All terms; an entry is found under its English and its Chinese name."""
    lines = [":::{glossary}"]
    for entry in glossary():
        words = [entry["term"], entry["zh"][0]]
        lines += dict.fromkeys(words if language == "en" else words[::-1])
        lesson = next(p.stem for p in notebooks.lessons() if p.stem.startswith(entry["lesson"]))
        link = f"[{WORDS[language]['lesson'].format(entry['lesson'])}](notebooks/{lesson}.ipynb)"
        means = entry["means" if language == "en" else "means_zh"]
        lines += [f"  {means} {link}", ""]
    return "\n".join([*lines, ":::"])


FILLS = {"contents": _contents, "cards": _cards, "glossary": _glossary}


def glossary() -> list[dict]:
    """The terms of the course: term, zh (the preferred one first), forms, lesson, means, means_zh."""
    return yaml.safe_load((DOCS / "glossary.yaml").read_text("utf-8"))


def _cover(path: Path):
    """The output of a lesson that has the picture of its card."""
    cell = next(cell for cell in notebooks.read(path).cells if cell.id == COVERS[path.stem[:2]])
    return next(output for output in cell.outputs if "image/png" in output.get("data", {}))


def _write_covers(folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in notebooks.lessons():
        (folder / f"{path.stem[:2]}.png").write_bytes(base64.b64decode(_cover(path)["data"]["image/png"]))


def _write_api(folder: Path) -> None:
    """A page for each module of the package whose names students meet."""
    folder.mkdir(parents=True)
    package = ROOT / "recsys_helpers"
    paths = (
        path.relative_to(package) for path in package.rglob("[a-z]*.py") if path.parent.name not in ("checks", "course")
    )
    modules = sorted(".".join(path.with_suffix("").parts) for path in paths if path.stem != "errors")
    for module in modules:
        name = f"recsys_helpers.{module}"
        body = f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n"
        (folder / f"{module}.md").write_text(body, "utf-8")
    listed = "\n".join(modules)
    page = (
        f"# recsys_helpers\n\n```{{eval-rst}}\n.. automodule:: recsys_helpers\n```\n\n```{{toctree}}\n{listed}\n```\n"
    )
    (folder / "index.md").write_text(page, "utf-8")


def _write_colab(source: Path, out: Path, repository: str) -> None:
    """The notebooks once more, each with a first cell that sets Colab up."""
    for path in sorted(source.glob("*/[0-9][0-9]_*.ipynb")):
        notebook = notebooks.read(path)
        code = (
            (TEMPLATES / "colab.py.txt")
            .read_text("utf-8")
            .format(repository=repository, locks=COLAB_LOCKS, packages=COLAB_PACKAGES, kind=path.parent.name)
        )
        notebook.cells.insert(0, nbformat.v4.new_code_cell(code, id="colab"))
        notebooks.write(notebook, out / path.parent.name / path.name)


# ------------------------------------------------------------------------------------------------ as Sphinx reads


def setup(app) -> dict:
    """Sphinx calls this: the site's own treatment of notebooks, formulas and buttons."""
    from docutils.nodes import SkipNode
    from sphinx.search.zh import SearchChinese

    app.connect("source-read", _read)
    app.connect("html-page-context", _add_languages, priority=400)  # before the theme drops templates without content
    app.connect("html-page-context", _add_buttons, priority=600)  # after the theme's own
    app.connect("html-page-context", _mark_numbers)

    def inline(self, node):
        self.body.append(mathml.mathml(node.astext()))
        raise SkipNode

    def block(self, node):
        self.body += [f'<span id="{anchor}"></span>' for anchor in node["ids"]]
        self.body.append(mathml.mathml(node.astext(), block=True))
        raise SkipNode

    # Sphinx 9.0 names a stemmer for Chinese that does not exist, so search would die (its issue 14229)
    SearchChinese.language_name = "English"
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _read(app, page: str, source: list[str]) -> None:
    if page.startswith(("notebooks/", "exercises/")):
        notebook = nbformat.reads(source[0], as_version=4)
        source[0] = json.dumps(for_site(notebook, app.config.language))


def for_site(notebook, language: str):
    """A notebook as the site shows it: without what needs a kernel, with references that lead somewhere."""
    notebook.cells = [cell for cell in notebook.cells if cell.id != "course-map"]
    seen: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _with_terms(_with_citations(_with_numbers(cell.source)), language, seen)
            continue
        live = "application/vnd.jupyter.widget-view+json"
        cell.outputs = [output for output in cell.outputs if live not in output.get("data", {})]
        for output in cell.outputs:
            if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                cell.metadata["mystnb"] = {"image": {"alt": alt}}
    return notebook


def _with_numbers(text: str) -> str:
    """Formulas with a number can be linked to; their numbers in the text, such as (4.1), are links."""
    text = re.sub(r"(?m)^(\$\$.*?\\tag\{(\d)\.(\d)\}\s*\$\$)", r"(formula-\2-\3)=\n\1", text, flags=re.S)
    return re.sub(r"(?<![\]A-Za-z0-9_-])[(（](\d)\.(\d)[)）]", r"[\g<0>](#formula-\1-\2)", text)


def _with_citations(text: str) -> str:
    """Behind each link to a work of the bibliography its label, which leads there."""
    keys = bibliography()

    def cited(link: re.Match) -> str:
        return f"{link[0]} {{cite}}`{keys[link[1]]}`" if link[1] in keys else link[0]

    return re.sub(r"\[[^\]]+\]\((https://[^)\s]+)\)", cited, text)


def _with_terms(text: str, language: str, seen: set[str]) -> str:
    """A term in bold leads to the glossary, the first time that it occurs in a notebook."""
    terms = _terms(language)

    def linked(bold: re.Match) -> str:
        term = terms.get(bold[1].lower()) or terms.get(bold[1].lower().removesuffix("s"))
        if term is None or term in seen:
            return bold[0]
        seen.add(term)
        return f"**{{term}}`{bold[1]} <{term}>`**"

    return re.sub(r"\*\*([^*`$\[\]<>]+)\*\*", linked, text)


@cache
def _terms(language: str) -> dict[str, str]:
    """Every form of a term, in small letters, and the name that its entry goes by."""
    if language == "en":
        return {form.lower(): e["term"] for e in glossary() for form in [e["term"], *e.get("forms", [])]}
    return {form.lower(): e["zh"][0] for e in glossary() for form in [*e["zh"], e["term"]]}


@cache
def bibliography() -> dict[str, str]:
    """The key of each work in docs/references.bib by the address of its DOI or its arXiv page."""
    from pybtex.database import parse_file

    return {address(entry.fields): key for key, entry in parse_file(str(DOCS / "references.bib")).entries.items()}


def address(fields) -> str:
    """Where a work of the bibliography is found: its DOI, else its arXiv page, else the page that it names."""
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    return f"https://arxiv.org/abs/{fields['eprint']}" if "eprint" in fields else fields["url"]


def _add_languages(app, page: str, template: str, context: dict, doctree) -> None:
    """The same page in the other language: (its name, its code, the address)."""
    up = "../" * (page.count("/") + 1)
    context["languages"] = [
        (name, language.replace("_", "-"), f"{up}{FOLDERS[language]}/{page}.html")
        for language, name in LANGUAGES.items()
        if language != app.config.language
    ]


def _mark_numbers(app, page: str, template: str, context: dict, doctree) -> None:
    """Cells of tables that hold a number, or one with its interval such as 0.1 [0.0, 0.2]: they keep to one line."""
    number = r"[-+−]?[\d.,]*\d%?"
    cell = rf"<(t[dh])(?=[^>]*>(?:<p>)?{number}(?: \[{number}, {number}\])?(?:</p>)?</\1>)"
    context["body"] = re.sub(cell, r"<\1 data-number", context.get("body", ""))


def _add_buttons(app, page: str, template: str, context: dict, doctree) -> None:
    """Where a notebook can be started."""
    here = app.config.language
    repository, hub = os.environ["COURSE_REPOSITORY"], os.environ["COURSE_HUB"]
    if not page.startswith(("notebooks/", "exercises/")):
        return
    buttons, branch = [], os.environ["COURSE_BRANCH"]
    if repository:
        owner_name = repository.removeprefix("https://github.com/")
        place = page if here == "en" else f"build/zh/{page}"  # .binder/postBuild writes the Chinese ones
        where = f"blob/gh-pages/{FOLDERS[here]}/colab/{page}.ipynb"
        buttons += [
            ("Colab", "logo_colab.png", f"https://colab.research.google.com/github/{owner_name}/{where}"),
            (
                "Binder",
                "logo_binder.svg",
                f"https://mybinder.org/v2/gh/{owner_name}/{branch}?urlpath=lab/tree/{place}.ipynb",
            ),
        ]
    if hub and here == "en":  # a hub's servers start with the English notebooks
        link = f"{hub}/hub/user-redirect/lab/tree/recsys-course/{page}.ipynb"
        buttons.append(("JupyterHub", "logo_jupyterhub.svg", link))
    if buttons:
        links = [
            {"type": "link", "text": text, "tooltip": text, "icon": f"_static/images/{icon}", "url": url}
            for text, icon, url in buttons
        ]
        group = {"type": "group", "tooltip": "Start this notebook", "icon": "fas fa-rocket", "buttons": links}
        context["header_buttons"].insert(0, group | {"label": "launch-buttons"})
