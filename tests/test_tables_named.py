"""Tables in the forms of well-known ones train at the first call, and what was done to each column is said."""

from __future__ import annotations

import datetime
import json
import random
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from typed import QUICK, succeed

import microgrud.sklearn

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")
ROWS = 120


def learned(
    header: str,
    row: Callable[[int, random.Random], list[object]],
    target: str,
    separator: str = ",",
    encoding: str = "",
) -> tuple[dict[str, str], list[str]]:
    """Train on a table of this header and these rows; return the sentence about each column, and the notes."""
    rng = random.Random(0)
    lines = [header, *(separator.join(map(str, row(number, rng))) for number in range(1, ROWS + 1))]
    Path("t.csv").write_bytes("\n".join(lines).encode(encoding or "utf-8"))
    succeed("train", "t.csv", "--target", target, *QUICK, "--estimators", 1, "--out", "run")
    shown = succeed("show", "run").stdout
    notes = json.loads(Path("run", "model.json").read_text())["details"]["notes"]
    taken = {plan.name: plan.said for plan in microgrud.sklearn.load("run")["preparation"].columns_}
    assert all(note in shown for note in notes)
    assert all(f"{name}: {said}" in shown for name, said in taken.items())
    return taken, [note for note in notes if not note.startswith("On held-out rows")]


def test_titanic_is_used_but_for_its_names_and_tickets() -> None:
    def row(number: int, rng: random.Random) -> list[object]:
        woman = rng.random() < 0.4
        ticket = rng.choice([f"A/5 {rng.randrange(10**5)}", f"PC {rng.randrange(10**5)}", rng.randrange(10**6)])
        cabin = rng.choice(["", "", "", f"{rng.choice('ABC')}{number}"])
        named = f'"Braund{number}, {"Miss" if woman else "Mr"}. Owen ""Jack"""'
        survived = int(rng.random() < (0.8 if woman else 0.2))
        age = rng.choice(["", 0.42, 28.5, *range(1, 80)])
        sex = "female" if woman else "male"
        return [number, survived, rng.randrange(1, 4), named, sex, age, ticket, round(rng.expovariate(0.03), 4), cabin]

    taken, notes = learned("PassengerId,Survived,Pclass,Name,Sex,Age,Ticket,Fare,Cabin", row, "Survived")
    assert all(taken[name].startswith("left out: ") for name in ("PassengerId", "Name", "Ticket"))
    assert taken["Sex"] == "2 categories"
    assert "filled with" in taken["Age"]
    assert taken["Cabin"].startswith("used only for whether its cells are missing")
    about = ["'PassengerId'", "'Name'", "'Ticket'", "'Cabin'", "missing cells of 1 column are filled"]
    assert [text in note for text, note in zip(about, notes)] == [True] * 5, notes
    assert len(notes) == 5


def test_question_marks_of_auto_mpg_are_missing() -> None:
    def row(number: int, rng: random.Random) -> list[object]:
        cylinders = rng.choice([4, 6, 8])
        name = rng.choice(["ford pinto", "vw rabbit", "amc hornet"])
        power = "?" if number in (2, 50) else rng.randrange(50, 200)
        return [round(40 - 3 * cylinders + rng.random(), 1), cylinders, power, rng.randrange(1600, 5000), f'"{name}"']

    taken, _ = learned("mpg,cylinders,horsepower,weight,car name", row, "mpg")
    assert taken["horsepower"].startswith("numbers; ")
    assert taken["car name"] == "3 categories"


def test_spaces_around_the_cells_of_adult_do_not_count() -> None:
    def row(number: int, rng: random.Random) -> list[object]:
        education = rng.choice([" Bachelors", " HS-grad", " 11th"])
        rich = rng.random() < (0.7 if education == " Bachelors" else 0.1)
        sector = rng.choice([" ?", " Private", " State-gov"])
        return [rng.randrange(17, 90), sector, education, f" {rng.randrange(10, 80)}", " >50K" if rich else " <=50K"]

    taken, notes = learned("age, workclass, education, hours-per-week, income", row, "income")
    assert taken["workclass"].startswith("2 categories; ")
    assert (taken["education"], taken["hours-per-week"]) == ("3 categories", "numbers")
    assert notes == ["missing cells of 1 column are filled (microgrud show says with what): 'workclass'"]


def test_blank_charges_of_telco_are_missing_and_its_customers_left_out() -> None:
    def row(number: int, rng: random.Random) -> list[object]:
        tenure, letters = rng.randrange(30), "".join(rng.choices(string.ascii_uppercase, k=5))
        monthly = round(20 + 90 * rng.random(), 2)
        total = round(tenure * monthly * (0.9 + 0.2 * rng.random()), 2) if tenure else " "
        return [f"{number + 1000}-{letters}", rng.choice([0, 1]), tenure, monthly, total, rng.choice(["Yes", "No"])]

    taken, _ = learned("customerID,SeniorCitizen,tenure,MonthlyCharges,TotalCharges,Churn", row, "Churn")
    assert taken["customerID"].startswith("left out: ")
    assert taken["TotalCharges"].startswith("numbers; ")


def test_columns_of_ames_that_are_mostly_missing_tell_by_that() -> None:
    def row(number: int, rng: random.Random) -> list[object]:
        quality = rng.randrange(3, 10)
        alley, pool = rng.choice(["NA"] * 4 + ["Grvl"]), "Ex" if number == 7 else "NA"
        return [
            number,
            rng.choice(["NA", 60, 80, 75]),
            "Pave",
            alley,
            quality,
            pool,
            quality * 25000 + rng.randrange(9999),
        ]

    taken, notes = learned("Id,LotFrontage,Street,Alley,OverallQual,PoolQC,SalePrice", row, "SalePrice")
    assert taken["Street"] == "left out: all its cells are 'Pave'"
    assert taken["Alley"] == "used only for whether its cells are missing: all its cells are 'Grvl'"
    assert "missing cells of 1 column are filled (microgrud show says with what): 'LotFrontage'" in notes


def test_tabs_and_stray_classes_of_the_kidneys_do_not_count() -> None:
    def row(number: int, rng: random.Random) -> list[object]:
        ill = rng.random() < 0.6
        cells = "\t?" if number == 5 else "\t43" if number == 9 else rng.randrange(20, 55)
        diabetes = rng.choice(["yes", " yes", "\tno", "no"])
        return [rng.randrange(2, 90), cells, diabetes, ("ckd\t" if number % 40 == 0 else "ckd") if ill else "notckd"]

    taken, _ = learned("age,pcv,dm,classification", row, "classification")
    assert taken["pcv"].startswith("numbers")
    assert taken["dm"] == "2 categories"


def test_names_of_columns_of_life_expectancy_have_no_spaces() -> None:
    def row(number: int, rng: random.Random) -> list[object]:
        years = "" if number == 3 else round(50 + 30 * rng.random(), 1)
        return [f"Country {number % 30}", 2000 + number % 15, years, rng.randrange(300), rng.choice(["", 1.5, 22.75])]

    taken, notes = learned("Country,Year,Life expectancy ,Adult Mortality, BMI ", row, "Life expectancy")
    assert list(taken) == ["Country", "Year", "Adult Mortality", "BMI"]
    assert "column 'Life expectancy': 1 row without a target, left out of training" in notes


def test_moments_of_taxis_become_numbers() -> None:
    def row(number: int, rng: random.Random) -> list[object]:
        start = datetime.datetime(2019, 3, 1) + datetime.timedelta(seconds=rng.randrange(30 * 86400))
        miles = rng.expovariate(0.3)
        end = start + datetime.timedelta(seconds=int(200 * miles))
        return [
            start,
            end,
            rng.choice(["cash", "credit card", ""]),
            round(miles, 2),
            round(3 + 2.5 * miles + rng.random(), 1),
        ]

    taken, _ = learned("pickup,dropoff,payment,distance,fare", row, "fare")
    assert taken["pickup"] == taken["dropoff"] == "dates, as weekday, hour, days"


def test_numbers_of_a_german_price_list_have_decimal_commas() -> None:
    def german(number: float, decimals: int) -> str:
        return f"{number:,.{decimals}f}".translate(str.maketrans(",.", ".,"))

    def row(number: int, rng: random.Random) -> list[object]:
        price, stock, weight = rng.expovariate(0.001), rng.randrange(3000), rng.random() * 20
        size = rng.choice(["Größe S", "Größe M"])
        return [
            f"ART-{rng.randrange(10**6)}",
            size,
            f"{german(price, 2)} €",
            german(stock, 0),
            f"{german(weight, 3)} kg",
        ]

    taken, notes = learned("Nummer;Größe;Preis;Bestand;Gewicht", row, "Preis", ";", "cp1252")
    assert taken["Nummer"].startswith("left out: ")
    assert taken["Bestand"].startswith("numbers with a decimal comma")
    assert taken["Gewicht"] == "numbers with a decimal comma and the unit 'kg'"
    assert any("was read as" in note and "because other columns have a decimal comma" in note for note in notes)


def test_constants_and_remarks_of_raw_penguins_are_said() -> None:
    def row(number: int, rng: random.Random) -> list[object]:
        kind, length = rng.choice(
            [("Adelie Penguin (Pygoscelis adeliae)", 190), ("Gentoo penguin (Pygoscelis papua)", 217)]
        )
        remark = rng.choice(["NA"] * 9 + ["Not enough blood for isotopes."])
        day, stage = f"2007-11-{rng.randrange(1, 30):02}", '"Adult, 1 Egg Stage"'
        return [
            number,
            kind,
            stage,
            f"N{number}A1",
            day,
            length + rng.randrange(-12, 13),
            rng.choice(["MALE", "NA"]),
            remark,
        ]

    header = "Sample Number,Species,Stage,Individual ID,Date Egg,Flipper Length (mm),Sex,Comments"
    taken, _ = learned(header, row, "Species")
    assert all(taken[name].startswith("left out: ") for name in ("Sample Number", "Stage", "Individual ID"))
    assert taken["Date Egg"] == "dates, as weekday, days"
    assert taken["Comments"].startswith("used only for whether its cells are missing")
