"Hidden cases and hints for the exercises of lesson 19_tables."
import calendar, statistics
from lesson_nb.checker import Exercise, Hint


def _codes(values, classes, first=1, unknown=0):
    place = {value: code for code, value in enumerate(classes, first)}
    return [place.get(value, unknown) for value in values]


def _since(events, before=None, start=0):
    since, last = [], None
    for day, event in enumerate(events):
        if event: last = day
        since.append(before if last is None else day - last + start)
    return since


def _until(events): return _since(events[::-1])[::-1]


def _known(values): return [value for value in values if value is not None]


def _filled(train, later, middle=statistics.median, source=lambda train, later: _known(train)):
    value = middle(source(train, later))
    return [value if v is None else v for v in later]


def _cut(times, count, kept=lambda time, cut: time >= cut): return [kept(time, sorted(times)[-count]) for time in times]


def _taken_one_by_one(times, count):
    latest = sorted(range(len(times)), key=lambda i: times[i])[-count:]
    return [i in latest for i in range(len(times))]


exercises = {
    "codes_from": Exercise(
        reference=_codes, cases=lambda: [(["b", "a", None, "z", "c"], ["a", "b", "c"]), ([3, 7, 3], [7, 3]), ([None], ["x"]), ([], ["x", "y"]), (["low", "high", "huge"], ["low", "middle", "high"])],
        hints=[Hint("from-zero", "the known values begin at 1; 0 is for what is not known", wrong=lambda values, classes: _codes(values, classes, 0, 0)),
               Hint("minus-one", "pandas says -1 for what it does not know, and begins at 0; add 1 to all of them", wrong=lambda values, classes: _codes(values, classes, 0, -1)),
               Hint("sorted-anew", "the codes follow the order of `classes` as it is given, which need not be sorted", wrong=lambda values, classes: _codes(values, sorted(classes))),
               Hint("unknown-last", "what is not known gets 0, not a new code behind the others", wrong=lambda values, classes: _codes(values, classes, 1, len(classes) + 1))],
        praise="A dictionary made once: with a search through the list for each value, a million rows and a thousand shops would take minutes."),
    "days_since": Exercise(
        reference=_since, cases=lambda: [([0, 1, 0, 0, 1, 0],), ([1, 1, 0, 0, 0],), ([0, 0, 0],), ([],), ([0, 0, 1, 0],)],
        hints=[Hint("zero-before", "before the first promotion there is no such number: None, not 0", wrong=lambda events: _since(events, before=0)),
               Hint("counted-from-one", "on the day itself 0 days have passed", wrong=lambda events: _since(events, start=1)),
               Hint("until", "that counts the days until the *next* promotion; look backwards in time", wrong=_until)],
        praise="In pandas, for each shop at once: mask the dates of events, `groupby('Store').ffill()`, subtract."),
    "ends_month": Exercise(
        reference=lambda year, month, day: day == calendar.monthrange(year, month)[1],
        cases=lambda: [(2015, 1, 31), (2015, 4, 30), (2015, 1, 30), (2015, 2, 28), (2016, 2, 28), (2016, 2, 29), (1900, 2, 28), (2000, 2, 29), (2000, 2, 28), (2015, 12, 31), (2015, 11, 29)],
        hints=[Hint("thirty-one", "not every month has 31 days", wrong=lambda year, month, day: day == 31),
               Hint("no-leap-years", "in a leap year February ends on the 29th", wrong=lambda year, month, day: day == calendar.monthrange(2015, month)[1]),
               Hint("every-fourth-year", "1900 was no leap year: a full century is one only if 400 divides it", wrong=lambda year, month, day: day == (29 if year % 4 == 0 and month == 2 else calendar.monthrange(2015, month)[1]))],
        praise="`add_datepart` asks pandas, which keeps the same rule."),
    "filled_from": Exercise(
        reference=_filled, cases=lambda: [([1.0, 9.0, 2.0], [None, 5.0]), ([4.0, None, 1.0, 100.0, 3.0, None], [None, None, 50.0]), ([7.0], [None]), ([2.0, 8.0, 1.0], [1.0, 2.0])],
        hints=[Hint("own-median", "the median has to come from the first list, the training part, alone", wrong=lambda train, later: _filled(train, later, source=lambda train, later: _known(later) or _known(train))),
               Hint("both-lists", "the training part alone decides; the later list must not move the median", wrong=lambda train, later: _filled(train, later, source=lambda train, later: _known(train) + _known(later))),
               Hint("mean", "that is the mean, which one far value pulls away; take the median", wrong=lambda train, later: _filled(train, later, statistics.mean)),
               Hint("gaps-as-zero", "the gaps of the training part count as zeros there; leave them out before you take the median", wrong=lambda train, later: _filled(train, later, source=lambda train, later: [v or 0.0 for v in train])),
               Hint("lower-middle", "with an even count the median is the mean of the two in the middle", wrong=lambda train, later: _filled(train, later, statistics.median_low))],
        praise="Exactly what FillMissing does, but for the flag that says where."),
    "held_out": Exercise(
        reference=_cut, cases=lambda: [([1, 2, 3, 4, 5], 2), ([3, 1, 3, 2, 3], 1), ([2, 2, 1, 1, 3], 2), (["2015-03", "2014-12", "2015-03", "2015-01"], 3), ([5, 4], 1)],
        hints=[Hint("tie-torn", "rows of one time are parted; take all rows of the time at the cut", wrong=_taken_one_by_one),
               Hint("earliest", "these are the earliest rows; the latest ones are to be held out", wrong=lambda times, count: [time <= sorted(times)[count - 1] for time in times]),
               Hint("too-few", "the rows at the cut itself belong to the later side: at least `count` rows are asked for", wrong=lambda times, count: _cut(times, count, lambda time, cut: time > cut)),
               Hint("from-the-end-of-the-list", "the rows are in any order; it is their times that count", wrong=lambda times, count: [i >= len(times) - count for i in range(len(times))])],
        praise="`split_by_time` does the same, for a share of the rows."),
}
