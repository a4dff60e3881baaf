"Tables to tensors: dates, codes, gaps, scale; what is learned from one table and applied to another; a split by time; ridge regression."
import datetime, warnings
import numpy as np, pandas as pd, pytest, torch
from hypothesis import given, settings, strategies as st
from lesson_nb.tables import Categorify, FillMissing, Normalize, TableReader, add_datepart, cont_cat_split, split_by_time

TRAIN = pd.DataFrame({"colour": ["red", "blue", None, "red"], "code": [30, 20, 20, 30], "size": [1.0, np.nan, 5.0, 3.0], "age": [4, 8, 8, 4], "sold": [True, False, True, True]},
                     index=[7, 7, 9, 8])
LATER = pd.DataFrame({"age": [np.nan, 8.0], "sold": [False, True], "size": [np.nan, 2.0], "colour": ["green", "blue"], "code": [20, 99], "extra": [1, 2]})
CATEGORIES, NUMBERS = ["colour", "code", "sold"], ["size", "age"]


# dates
def by_the_calendar(day):
    "The parts of a day, from Python's own calendar."
    tomorrow, yesterday = day + datetime.timedelta(1), day - datetime.timedelta(1)
    return {"Year": day.year, "Month": day.month, "Week": day.isocalendar()[1], "Day": day.day, "Dayofweek": day.weekday(), "Dayofyear": day.timetuple().tm_yday,
            "Is_month_end": tomorrow.day == 1, "Is_month_start": day.day == 1, "Is_quarter_end": tomorrow.day == 1 and day.month % 3 == 0,
            "Is_quarter_start": day.day == 1 and day.month % 3 == 1, "Is_year_end": tomorrow.year > day.year, "Is_year_start": yesterday.year < day.year,
            "Elapsed": (day - datetime.date(1970, 1, 1)).days * 86400.0}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dates(datetime.date(1900, 1, 1), datetime.date(2199, 12, 31)), min_size=1, max_size=6), st.booleans())
def test_parts_of_a_date_are_the_calendars(days, as_text):
    column = pd.Series([d.isoformat() for d in days]) if as_text else pd.to_datetime(pd.Series(days))
    found = add_datepart(pd.DataFrame({"Date": column}), "Date")
    assert found.to_dict("records") == [by_the_calendar(day) for day in days]


def test_time_of_day_zone_prefix_and_the_column_itself():
    table = pd.DataFrame({"soldDate": pd.to_datetime(["2015-03-01 23:30:05"]).tz_localize("Europe/Berlin"), "x": [1]}, index=["row"])
    found = add_datepart(table, "soldDate", drop=False, time=True)
    assert found.loc["row", ["soldHour", "soldMinute", "soldSecond", "soldDay"]].tolist() == [23, 30, 5, 1]
    assert found["soldElapsed"].item() == datetime.datetime(2015, 3, 1, 22, 30, 5, tzinfo=datetime.timezone.utc).timestamp()
    assert list(found)[:2] == ["soldDate", "x"] and list(table) == ["soldDate", "x"] and list(add_datepart(table, "soldDate"))[0] == "x"


def test_missing_date_is_missing_in_every_part():
    found = add_datepart(pd.DataFrame({"when": ["2015-12-31", None]}), "when")
    assert found.iloc[1].isna().all() and found.iloc[0].tolist()[:6] == [2015, 12, 53, 31, 3, 365] and found["whenIs_year_end"].tolist()[0] is True
    reader = TableReader(["whenIs_year_end", "whenMonth"], ["whenElapsed"]).fit(found)
    assert reader(found)[0].tolist() == [[1, 1, 1], [0, 0, 2]] and add_datepart(pd.DataFrame({"when": pd.Series([], dtype="datetime64[ns]")}), "when").shape == (0, 13)


@pytest.mark.parametrize("values, options, error, said", [
    (["2015-07-31", "tomorrow", "soon"], {}, ValueError, "2 of 3 values are none: 'tomorrow', 'soon', the first in row 1"),
    (["2015-07-31", "2015-02-30"], {}, ValueError, "'2015-02-30'"),
    (["31.07.2015", "2015-07-31"], {"format": "%d.%m.%Y"}, ValueError, "in the format %d.%m.%Y: '2015-07-31'"),
    ([20150731], {}, TypeError, "format='%Y%m%d'"), ([np.nan, 20150731.0], {}, TypeError, "nanoseconds")])
def test_what_is_no_date_is_named_and_nothing_is_lost(values, options, error, said):
    table = pd.DataFrame({"Date": values})
    before = table.copy()
    with pytest.raises(error) as raised: add_datepart(table, "Date", **options)
    assert said in str(raised.value) and "Date:" in str(raised.value)
    pd.testing.assert_frame_equal(table, before)


def test_format_is_followed_and_parts_are_not_added_twice():
    table = add_datepart(pd.DataFrame({"Date": ["03.04.2015"]}), "Date", format="%d.%m.%Y", drop=False)
    assert (table["Day"].item(), table["Month"].item()) == (3, 4)
    with pytest.raises(ValueError, match="already has 'Year'"): add_datepart(table, "Date", format="%d.%m.%Y")
    with pytest.raises(ValueError, match="no 'date', but 'Date'"): add_datepart(table, "date")


# categories
def test_codes_are_places_from_one_and_zero_is_for_the_rest():
    categorify = Categorify(CATEGORIES).fit(TRAIN)
    assert categorify.classes == {"colour": ["blue", "red"], "code": [20, 30], "sold": [False, True]} and categorify.sizes == {"colour": 3, "code": 3, "sold": 3}
    read = categorify(TRAIN)
    assert read[CATEGORIES].to_numpy().tolist() == [[2, 2, 2], [1, 1, 1], [0, 1, 2], [2, 2, 2]] and read.index.equals(TRAIN.index)
    assert categorify(LATER)[CATEGORIES].to_numpy().tolist() == [[0, 1, 1], [1, 0, 2]] and categorify.decode("colour", [0, 2]) == [None, "red"]
    assert categorify(LATER)["extra"].tolist() == [1, 2] and set(categorify(TRAIN)["code"].map(type)) == {int}


@pytest.mark.parametrize("dtype", ["category", "object", "string"])
def test_however_pandas_keeps_text_the_codes_are_the_same(dtype):
    categorify = Categorify(["colour"]).fit(TRAIN.astype({"colour": dtype}))
    for other in ("category", "object", "string"): assert categorify(LATER.astype({"colour": other}))["colour"].tolist() == [0, 1]
    assert categorify(TRAIN.astype({"colour": dtype}))["colour"].tolist() == [2, 1, 0, 2]


def test_whole_numbers_that_became_decimal_beside_a_gap_are_still_known():
    categorify = Categorify(["code", "sold"]).fit(TRAIN)
    later = pd.DataFrame({"code": [30.0, np.nan, 20.0], "sold": pd.array([True, None, False], dtype="boolean")})
    assert categorify(later).to_numpy().tolist() == [[2, 2], [0, 0], [1, 1]]
    assert categorify(pd.DataFrame({"code": pd.array([30, None], dtype="Int64"), "sold": pd.Series([None, True], dtype=object)})).to_numpy().tolist() == [[2, 0], [0, 2]]


def test_an_order_of_ones_own_is_kept():
    grades = pd.Categorical(["Gd", "Po", "Gd"], categories=["Po", "Fa", "Gd"], ordered=True)
    categorify = Categorify(["grade"]).fit(pd.DataFrame({"grade": grades}))
    assert categorify.classes["grade"] == ["Po", "Fa", "Gd"] and categorify(pd.DataFrame({"grade": ["Fa", "Gd", "Ex"]}))["grade"].tolist() == [2, 3, 0]


@pytest.mark.parametrize("column, error, said", [
    ([None, None], ValueError, "all 2 values are missing"), ([np.nan, np.nan], ValueError, "colour"), (["0", 0], TypeError, "astype(str)"),
    ([True, "yes"], TypeError, "only one of them"), (pd.to_datetime(["2015-01-01"] * 2), TypeError, "add_datepart")])
def test_a_column_that_cannot_be_a_category_is_refused(column, error, said):
    categorify = Categorify(["colour"]).fit(TRAIN)
    with pytest.raises(error) as raised: categorify.fit(pd.DataFrame({"colour": column}))
    assert said in str(raised.value) and categorify.classes == {"colour": ["blue", "red"]}, "what was learned before is still there"


@pytest.mark.parametrize("later", [pd.Series([30, 20]), pd.Series([None, 30.0]), pd.Series([True, False]), pd.Series(["blue", 30]), pd.Series(["blue", 30]).astype("category")])
def test_another_kind_of_values_is_an_error_and_not_all_unseen(later):
    categorify = Categorify(["colour"]).fit(TRAIN)
    with pytest.raises(TypeError, match="colour: expected text such as 'blue'"): categorify(pd.DataFrame({"colour": later}))
    assert categorify(pd.DataFrame({"colour": [None, None]}))["colour"].tolist() == [0, 0] and len(categorify(TRAIN[:0])) == 0


# gaps
def test_gaps_get_the_training_median_and_a_flag():
    fill = FillMissing(["size"]).fit(TRAIN)
    for table, sizes, flags in ((TRAIN, [1, 3, 5, 3], [False, True, False, False]), (LATER, [3, 2], [True, False])):
        read = fill(table)
        assert read["size"].tolist() == sizes and read["size_na"].tolist() == flags and read.index.equals(table.index)
    assert fill.added == ["size_na"] and TRAIN["size"].isna().sum() == 1, "the table itself is as it was"
    assert fill(TRAIN[:1])["size_na"].tolist() == [False] and fill(TRAIN.astype({"size": "Float64"}))["size"].tolist() == [1, 3, 5, 3]


def test_gaps_in_the_later_table_alone_are_filled_without_a_flag_and_said():
    fill = FillMissing(["age"]).fit(TRAIN)
    with pytest.warns(UserWarning, match=r"without any in the training part, set to its median: age \(1\)"): read = fill(LATER)
    assert read["age"].tolist() == [6, 8] and "age_na" not in read


@pytest.mark.parametrize("column, error, said", [([np.nan, np.nan], ValueError, "none in 'size'"), (["1", "2"], TypeError, "pd.to_numeric"),
                                                 ([1.0, np.inf], ValueError, "1 infinite ones"), (pd.to_datetime(["2015-01-01"] * 2), TypeError, "expected numbers")])
def test_a_column_without_a_median_is_refused(column, error, said):
    fill = FillMissing(["size"]).fit(TRAIN)
    with pytest.raises(error) as raised: fill.fit(pd.DataFrame({"size": column}))
    assert said in str(raised.value) and fill.medians == {"size": 3.0} and fill.gaps == ["size"]


# scale
def test_scale_is_the_training_parts_in_every_table():
    normalize = Normalize(["age"]).fit(TRAIN)
    assert normalize(TRAIN)["age"].tolist() == [-1, 1, 1, -1] and normalize(pd.DataFrame({"age": [10]}))["age"].tolist() == [2] and normalize(TRAIN)["age"].dtype == "float32"
    huge = Normalize(["x"]).fit(pd.DataFrame({"x": [1e9, 1e9 + 1]}))
    assert huge(pd.DataFrame({"x": [1e9, 1e9 + 1]}))["x"].tolist() == [-1, 1], "the difference is taken in float64"


@pytest.mark.parametrize("value", [0.0, 5, 0.1, 1e9 + 0.1, -3.3])
def test_a_column_of_one_value_becomes_zero_now_and_later(value):
    with pytest.warns(UserWarning, match="one value.*'x'"): normalize = Normalize(["x"]).fit(pd.DataFrame({"x": [value] * 7}))
    assert normalize(pd.DataFrame({"x": [value, value + 1, 1e6]}))["x"].tolist() == [0, 0, 0]


def test_scale_refuses_gaps_and_what_has_learned_nothing():
    with pytest.raises(ValueError, match="FillMissing"): Normalize(["size"]).fit(TRAIN)
    with pytest.raises(ValueError, match="nothing in 'age'"): Normalize(["age"]).fit(TRAIN[:0])
    for step in (Normalize(["age"]), FillMissing(["age"]), Categorify(["code"])):
        with pytest.raises(RuntimeError, match="fit"): step(TRAIN)
    with pytest.raises(RuntimeError, match="fit"): Categorify(["code"]).decode("code", [1])
    with pytest.raises(RuntimeError, match="fit"): TableReader(["code"], []).state_dict()


# all in one
def read_quietly(reader, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reader(table)


def test_reader_gives_codes_and_numbers():
    reader = TableReader(CATEGORIES, NUMBERS).fit(TRAIN)
    codes, numbers = reader(TRAIN)
    assert reader.sizes == {"colour": 3, "code": 3, "sold": 3, "size_na": 3} and (codes.dtype, numbers.dtype) == (torch.int64, torch.float32)
    assert codes.tolist() == [[2, 2, 2, 1], [1, 1, 1, 2], [0, 1, 2, 1], [2, 2, 2, 1]]
    deviation = 2**0.5      # of 1, 3, 5, 3
    torch.testing.assert_close(numbers, torch.tensor([[-2 / deviation, -1], [0, 1], [2 / deviation, 1], [0, -1]]))
    later = read_quietly(reader, LATER)
    assert later[0].tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]] and later[1][:, 1].tolist() == [0, 1]


@pytest.mark.parametrize("categories, numbers", [(CATEGORIES, NUMBERS), (CATEGORIES, []), ([], NUMBERS), ([], ["age"])])
def test_a_row_reads_the_same_alone_and_among_others_and_after_saving(categories, numbers, tmp_path):
    reader = TableReader(categories, numbers).fit(TRAIN)
    reader.save(tmp_path/"reader.pth")
    loaded = TableReader.load(tmp_path/"reader.pth")
    whole = read_quietly(reader, LATER)
    for again in (read_quietly(loaded, LATER), [torch.cat(parts) for parts in zip(*(read_quietly(loaded, LATER[i:i + 1]) for i in range(2)))]):
        for a, b in zip(whole, again): assert torch.equal(a, b) and a.dtype == b.dtype
    assert loaded.sizes == reader.sizes and [len(part) for part in loaded(LATER[:0])] == [0, 0] and loaded.state_dict() == reader.state_dict()


def test_broken_file_and_missing_or_doubled_columns_are_named(tmp_path):
    reader = TableReader(CATEGORIES, NUMBERS).fit(TRAIN)
    reader.save(tmp_path/"reader.pth")
    (tmp_path/"cut.pth").write_bytes((tmp_path/"reader.pth").read_bytes()[:-9])
    with pytest.raises(ValueError, match="cut short"): TableReader.load(tmp_path/"cut.pth")
    with pytest.raises(ValueError, match="no 'colour', but 'code'"): reader(TRAIN.drop(columns="colour")[["code", "size", "age", "sold"]])
    with pytest.raises(ValueError, match="'age' as both"): TableReader(["age"], ["age"])
    with pytest.raises(ValueError, match="once, got 'code'"): Categorify(["code", "code"]).fit(TRAIN)


def test_fitting_anew_forgets_the_flags_of_before():
    reader = TableReader(["code"], ["size"]).fit(TRAIN)
    assert list(reader.fit(TRAIN.fillna({"size": 2.0})).sizes) == ["code"]
    assert list(reader.fit(TRAIN).sizes) == ["code", "size_na"]


# name or number, earlier or later
def test_rule_of_thumb_for_categories():
    table = TRAIN.assign(id=range(4), empty=np.nan, same=1.5, one="x", year=[2013, 2014, 2013, 2015])
    with pytest.warns(UserWarning, match="'empty', 'same', 'one'"): found = cont_cat_split(table, target="id", max_categories=3)
    assert found == (["colour", "code", "age", "sold", "year"], ["size"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cont_cat_split(table[["code", "year"]], max_categories=2) == (["code"], ["year"])
    assert cont_cat_split(pd.DataFrame({"pool": [None, 5.0, None], "fence": ["yes", None, None]})) == (["pool", "fence"], []), "there or not is what they say"
    with pytest.raises(TypeError, match="add_datepart"): cont_cat_split(pd.DataFrame({"Date": pd.to_datetime(["2015-01-01"])}))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(2000, 2003), st.integers(1, 3)), min_size=2, max_size=30), st.floats(0.05, 0.9))
def test_no_time_is_on_both_sides_and_the_latest_are_held_out(times, share):
    table = pd.DataFrame(times, columns=["year", "month"], index=[0] * len(times))
    latest = sum(time == max(times) for time in times)
    cut = sorted(times)[int(len(times) * (1 - share))]
    if cut == min(times):
        with pytest.raises(ValueError): split_by_time(table, ["year", "month"], share)
        return
    early, late = split_by_time(table, ["year", "month"], share)
    assert sorted([*early, *late]) == list(range(len(times))) and max(times[i] for i in early) < min(times[i] for i in late)
    assert len(late) >= latest and len(late) >= len(times) * share - 1
    smaller = sum(times[i] > cut for i in late)
    assert smaller < len(times) - int(len(times) * (1 - share)), "one time less would have been too few"


def test_split_refuses_missing_times_and_percentages():
    with pytest.raises(ValueError, match="missing in 1 of 3"): split_by_time(pd.DataFrame({"t": [1.0, np.nan, 3.0]}), "t")
    with pytest.raises(ValueError, match="percentage"): split_by_time(pd.DataFrame({"t": [1, 2]}), "t", 20)
    with pytest.raises(ValueError, match="rows by, got 1,"): split_by_time(pd.DataFrame({"t": [5, 5, 5]}), "t")


def test_numbers_in_an_object_column_are_no_dates():
    import pandas as pd
    from lesson_nb.tables import add_datepart
    for values in (pd.Series([20150731, None], dtype=object), pd.Series(pd.Categorical([20150731, 20150801]))):
        with pytest.raises(TypeError, match="expected dates or text, got numbers"): add_datepart(pd.DataFrame({"Date": values}), "Date")
    assert add_datepart(pd.DataFrame({"Date": pd.Series([20150731], dtype=object)}), "Date", format="%Y%m%d")["Year"].tolist() == [2015]


def test_names_of_columns_are_text_and_stand_there_once():
    numbered, twice = pd.DataFrame({0: [1.0, 2.0], "a": ["x", "y"]}), pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    for make in (Categorify, FillMissing, Normalize):
        with pytest.raises(TypeError, match=r"rename\(columns=str\)"): make([0]).fit(numbered)
        with pytest.raises(ValueError, match="'a' twice"): make(["a"]).fit(twice)
    with pytest.raises(ValueError, match="'a' twice"): add_datepart(twice, "a")


@pytest.mark.parametrize("times", [["3.11.2014", "12.1.2013", "1.2.2015"], pd.Series(["2013-01-12", "2014-11-03", "2015-02-01"], dtype="string")])
def test_text_has_no_order_in_time(times):
    with pytest.raises(TypeError, match="letters"): split_by_time(pd.DataFrame({"t": times, "n": [1, 2, 3]}), ["n", "t"])
    dates = pd.DataFrame({"t": pd.to_datetime(pd.Series(times), dayfirst="." in times[0])})
    assert [rows.tolist() for rows in split_by_time(dates, "t", 0.3)][1] == [2]


def test_ordered_categories_have_an_order_in_time_and_other_columns_may_be_called_anything():
    months = pd.Categorical(["Mar", "Jan", "Feb"], categories=["Jan", "Feb", "Mar"], ordered=True)
    assert [rows.tolist() for rows in split_by_time(pd.DataFrame({"t": months}), "t", 0.3)] == [[1, 2], [0]]
    table = pd.DataFrame({"a": ["x", "y"], "b": [1.0, 2.0], 7: [0, 0]})
    assert TableReader(["a"], ["b"]).fit(table)(table)[0].shape == (2, 1)
