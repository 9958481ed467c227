"""The report of whatever a run folder holds: whole, sparse, a training, nothing."""

import html
import json
import re
import shutil
import subprocess

import html_rules
import numpy as np
import pandas as pd
import pytest

from mise_hf.cli import main
from mise_hf.report.page import build_page, write_report
from mise_hf.report.svg import PALETTE

EMOTIONS = ["anger", "joy & relief", "<sadness>"]


def information(value: float) -> dict:
    return {
        "value": value,
        "interval": [value - 0.1, value + 0.1],
        "null_95": 0.04,
        "entropy": 1.1,
        "n": 60,
        "flags": ["few rows"],
    }


def methods(gain: float) -> dict:
    base = {"uar": 0.6, "uar_std": 0.05, "uar_folds": [0.55, 0.65]}
    better = {**base, "uar": 0.6 + gain, "difference": gain, "p_value": 0.043}
    return {"best plain (chosen inside)": base, "MISE": better, "once": {"uar": 0.5, "uar_std": None}}


@pytest.fixture
def run_folder(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    frame = pd.concat(
        pd.DataFrame(
            {
                "scene": "in-corpus",
                "share": 0.3,
                "fold": 0,
                "method": method,
                "label": labels,
                "prediction": np.where(rng.random(60) < right, labels, (labels + 1) % 3),
            }
        )
        for method, right in (("best plain (chosen inside)", 0.6), ("MISE", 0.9))
    )
    frame.to_parquet(tmp_path / "predictions.parquet")
    measures = {
        "real rows": {"label_information": information(0.9), "carried_information": 0.8},
        "MISE": {
            "label_information": information(1.0),
            "text_information": information(0.2),
            "carried_information": 0.7,
            "recall": 0.93,
            "memorisation": {"share": 0.012, "null_95": 0.135},
        },
    }
    curve = [{"step": step, "critic_loss": 1 / (step + 1), "mi_bound": 0.1 * step} for step in range(40)]
    results = {
        "command": "mise-hf demo --seed 3",
        "machine": {"system": "Linux", "cores": 2},
        "versions": {"torch": "2.14.1"},
        "seed": 3,
        "seconds": 12.0,
        "corpora": [{"name": "toy", "licence": "CC0-1.0", "speakers": ["a", "b"], "utterances": 60}],
        "fingerprint": {"pooling": "mean+std"},
        "label_names": EMOTIONS,
        "in_corpus": {"0.3": {"baseline": "best plain (chosen inside)", "methods": methods(0.2)}},
        "cells": [{"share": 1.0, "fold": 0, "measures": measures, "curves": {"MISE": curve}}],
        "projection": {
            "real": rng.normal(size=(60, 2)).tolist(),
            "real_labels": labels.tolist(),
            "real_speakers": ["a"] * 30 + ["b"] * 30,
            "synthetic": rng.normal(size=(60, 2)).tolist(),
            "synthetic_labels": labels.tolist(),
        },
        "verdicts": ["MISE: helped <really> (p = 0.043)."],
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    return tmp_path


def test_the_page_keeps_the_rules_of_html(run_folder):
    page = build_page(run_folder).html
    assert html_rules.complaints(page) == []
    html5lib = pytest.importorskip("html5lib", reason="html5lib is not installed (it is in the extra `dev`)")
    parser = html5lib.HTMLParser()
    parser.parse(page)
    assert parser.errors == []


def test_the_rules_complain_of_what_breaks_them(run_folder):
    page = build_page(run_folder).html
    for old, new, said in (
        ("</section>", "", "never closed"),
        ('href="#scene-1"', 'href="#nowhere"', "leads nowhere"),
        ('role="img"', "", "picture without words"),
        ('scope="row"', "", "without scope"),
        ("<footer>", '<footer><link rel="icon" href="https://example.org/x.ico">', "loads something"),
        ("<h2", "<h4", ""),
    ):
        assert old in page
        found = html_rules.complaints(page.replace(old, new, 1))
        assert found and any(said in complaint for complaint in found)


def test_every_section_shows_its_numbers(run_folder):
    page = build_page(run_folder)
    shown = html.unescape(re.sub(r"<[^>]+>", " ", page.html))
    shown = " ".join(shown.split())
    assert page.titles == [
        "In one corpus: 30% of the training clips",
        "How much emotion the features carry",
        "Are they copies? Are they spread?",
        "Real and synthetic features",
        "Training curves",
        "How it was made",
    ]
    for text in (
        "MISE 80.0 5.0 +20.0 0.043",
        "MISE I(c; h) 1.00 0.90 to 1.10 0.04 60",
        "MISE I(t; h) 0.20",
        "MISE 100% of the clips, fold 0 0.012 0.135 0.93",
        "toy CC0-1.0 2 60",
        "mise-hf demo --seed 3",
        "torch 2.14.1",
        "few rows",
        "MISE: helped <really> (p = 0.043).",
    ):
        assert text in shown, text
    frame = pd.read_parquet(run_folder / "predictions.parquet")
    mise = frame[frame["method"] == "MISE"]
    for code, name in enumerate(EMOTIONS):
        recall = round(100 * (mise[mise["label"] == code]["prediction"] == code).mean())
        row = shown[shown.index("After: MISE") :]
        cells = row[row.index(f" {name} ") + len(name) + 2 :].split()[:3]
        assert int(cells[code]) == recall


def test_figures_take_their_colours_from_the_page(run_folder):
    page = build_page(run_folder).html
    pictures = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "var(--hue-0)" in pictures and "currentColor" in pictures
    assert not any(colour in pictures for colour in PALETTE)
    for place in range(len(PALETTE)):
        assert page.count(f"--hue-{place}:") == 2  # light and dark


def test_a_page_is_the_same_twice(run_folder):
    assert build_page(run_folder).html == build_page(run_folder).html


@pytest.mark.parametrize(
    "missing", ["cells", "projection", "in_corpus", "verdicts", "corpora", "label_names", "machine"]
)
def test_what_is_missing_is_left_out(run_folder, missing):
    path = run_folder / "results.json"
    results = json.loads(path.read_text())
    del results[missing]
    path.write_text(json.dumps(results))
    (run_folder / "predictions.parquet").unlink()
    assert html_rules.complaints(build_page(run_folder).html) == []


def test_a_training_has_a_report(tmp_path, capsys):
    run = tmp_path / "generator"
    run.mkdir()
    config = {"features": "emodb", "steps": 3, "seed": 5, "mi_weight": 0.1, "text": False, "output_dir": "runs/g"}
    (run / "training_config.json").write_text(json.dumps(config))
    lines = [json.dumps({"step": step, "critic_loss": 0.5}) for step in range(3)]
    (run / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 3, "crit']))
    corpus = {"name": "emodb", "licence": "CC0-1.0", "speakers": ["03"], "utterances": 9}
    (run / "config.json").write_text(json.dumps({"model_type": "mise_generator", "training_corpora": [corpus]}))
    assert main(["report", str(run), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["sections"] == ["Training curves", "How it was made"]
    page = (run / "report.html").read_text()
    assert "mise-hf train generator --features emodb --steps 3 --seed 5" in page and "CC0-1.0" in page
    assert html_rules.complaints(page) == []
    # A folder of trainings has one report for all.
    assert "generator" in build_page(tmp_path).html


def test_what_is_no_run_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 1
    assert "wanted the folder of a demo, a benchmark or a training" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "absent")]) == 1
    (tmp_path / "results.json").write_text("{")
    assert main(["report", str(tmp_path)]) == 1
    assert "is no JSON" in capsys.readouterr().err


def test_a_browser_shows_it_without_errors_and_without_overflow_on_a_phone(run_folder, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium here: the page is held to the rules of HTML only")
    page = write_report(run_folder).read_text()
    measure = "document.title = `width ${this.contentDocument.documentElement.scrollWidth}`"
    frame = f'<iframe style="width:360px;height:900px" onload="{measure}" srcdoc="{html.escape(page)}"></iframe>'
    (tmp_path / "phone.html").write_text(f"<!doctype html><meta charset=utf-8><title>none</title>{frame}")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--enable-logging=stderr")
    command = [
        browser,
        *flags,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
        f"file://{tmp_path}/phone.html",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("the browser here does not answer within two minutes")
    width = re.search(r"<title>width (\d+)</title>", done.stdout)
    assert width is not None, done.stderr[-500:]
    assert int(width[1]) <= 360
    assert "CONSOLE" not in done.stderr
