"""Rates the month that `skyhandel bench rate --dir FOLDER` has made, with DuckDB and with Polars.

The job: for each usage line on each of three edges the tier, the quantity in it and the exact
amount, written as Parquet; and for each edge the sum of all groups, each rounded to cents.
The peers get prices ready to be joined, exchange rates included, so they derive nothing.
"""

import json
import os
import sys
import time
from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from pathlib import Path

THREADS = len(os.sched_getaffinity(0))
os.environ["POLARS_MAX_THREADS"] = str(THREADS)

import duckdb  # noqa: E402
import polars as pl  # noqa: E402

getcontext().prec = 80
REPEAT = 3
FOLDER = Path(sys.argv[1])
USAGE = str(FOLDER / "usage" / "*" / "*.parquet")
OURS = json.loads((FOLDER / "skyhandel.json").read_text())
EXPECTED = [Decimal(total) for total in OURS["totals"]]


def fastest(what, work):
    print(f"measuring {what}", file=sys.stderr, flush=True)
    best, result = None, None
    for _ in range(REPEAT):
        began = time.perf_counter()
        result = work()
        took = time.perf_counter() - began
        best = took if best is None else min(best, took)
    return best, result


# DuckDB


def duck():
    db = duckdb.connect()
    db.execute(f"set threads={THREADS}")
    db.execute("set preserve_insertion_order=false")
    db.execute(f"create table sold as from '{FOLDER}/peers/subscriptions.parquet'")
    db.execute(
        f"""create table price as
            select *, count(*) over (partition by chain, meter_id) > 1 as tiered
            from '{FOLDER}/peers/prices.parquet'"""
    )
    db.execute("create table flat as from price where not tiered")
    db.execute("create table graduated as from price where tiered")
    return db


PRICES = ["price_1", "price_2", "price_3"]


def duck_totals(db):
    sums = ", ".join(f"sum(round(q * {p}::decimal(22,20), 2))" for p in PRICES)
    return db.execute(
        f"""with used as (select subscription_id, meter_id, sum(quantity)::decimal(15,6) q
                          from '{USAGE}' group by all),
            filled as (select greatest(least(q, tier_until::decimal(15,6)) - tier_from, 0)::decimal(15,6) q,
                              {", ".join(PRICES)}
                       from used join sold using (subscription_id)
                       join price using (chain, meter_id))
            select {sums} from filled"""
    ).fetchone()


def duck_lines(db):
    amounts = lambda q: ", ".join(  # noqa: E731
        f"({q} * {p}::decimal(22,20)) as amount_{n + 1}" for n, p in enumerate(PRICES)
    )
    target = FOLDER / "duckdb.parquet"
    db.execute(
        f"""copy (
            select subscription_id, meter_id, usage_start, 0 as tier,
                   quantity::decimal(15,6) as quantity, {amounts("quantity::decimal(15,6)")}
            from '{USAGE}' join sold using (subscription_id) join flat using (chain, meter_id)
            union all
            select subscription_id, meter_id, usage_start, tier, units, {amounts("units")} from (
              select subscription_id, meter_id, usage_start, tier, {", ".join(PRICES)},
                     (least(upto, tier_until::decimal(15,6))
                      - greatest(upto - quantity, tier_from::decimal(15,6)))::decimal(15,6) units
              from (select u.subscription_id, u.meter_id, usage_start, quantity, chain,
                           (sum(quantity) over (partition by u.subscription_id, u.meter_id
                             order by usage_start rows unbounded preceding))::decimal(15,6) upto
                    from '{USAGE}' u join sold using (subscription_id)
                    semi join graduated using (chain, meter_id))
              join graduated using (chain, meter_id)
              where upto > tier_from and upto - quantity < tier_until)
        ) to '{target}' (format parquet, compression uncompressed)"""
    )
    return db.execute(
        f"select {', '.join(f'sum(amount_{n})' for n in (1, 2, 3))}, count(*) from '{target}'"
    ).fetchone()


# Polars: whole numbers of 128 bits, since a product of its decimals is rounded.


def polars_tables():
    sold = pl.read_parquet(FOLDER / "peers" / "subscriptions.parquet")
    price = pl.read_parquet(FOLDER / "peers" / "prices.parquet").with_columns(
        *[whole(price) for price in PRICES],
        whole("tier_from") // 10**9,
        whole("tier_until") // 10**9,
        tiered=pl.len().over("chain", "meter_id") > 1,
    )
    return sold, price


def whole(column):
    return pl.col(column).cast(pl.String).str.replace(".", "", literal=True).cast(pl.Int128)


def usage(files):
    frame = pl.scan_parquet(files).select("subscription_id", "meter_id", "usage_start", "quantity")
    return frame.with_columns(quantity=pl.col("quantity").to_physical().cast(pl.Int64))


# File by file, since no subscription is in two: all at once takes more memory than there is.


def files():
    return sorted(FOLDER.glob("usage/*/*.parquet"))


def polars_totals(tables):
    sold, price = tables
    sums = [0, 0, 0]
    for file in files():
        keys = ["subscription_id", "meter_id"]
        used = usage(file).group_by(keys).agg(pl.col("quantity").sum().cast(pl.Int128))
        units = pl.min_horizontal("quantity", "tier_until") - pl.col("tier_from")
        half = pl.lit(5 * 10**23, dtype=pl.Int128)
        unit = pl.lit(10**24, dtype=pl.Int128)
        cents = [
            ((units.clip(lower_bound=0) * pl.col(p) + half) // unit).sum().alias(p) for p in PRICES
        ]
        priced = used.join(sold.lazy(), on="subscription_id")
        priced = priced.join(price.lazy(), on=["chain", "meter_id"])
        row = priced.select(cents).collect(engine="streaming").row(0)
        sums = [sum + cent for sum, cent in zip(sums, row)]
    return [Decimal(cent) / 100 for cent in sums]


def polars_lines(tables):
    target = FOLDER / "polars"
    target.mkdir(exist_ok=True)
    for file in files():
        polars_file(tables, file, target / file.name)
    sums = pl.scan_parquet(str(target / "*.parquet")).select(
        *[pl.col(f"amount_{n}_high").cast(pl.Int128).sum() for n in (1, 2, 3)],
        *[pl.col(f"amount_{n}_low").cast(pl.Int128).sum() for n in (1, 2, 3)],
        pl.len(),
    )
    row = sums.collect(engine="streaming").row(0)
    exact = [(Decimal(row[n]) * 10**18 + row[3 + n]) / 10**26 for n in range(3)]
    return (*exact, row[6])


def polars_file(tables, file, target):
    sold, price = tables
    lines = usage(file).join(sold.lazy(), on="subscription_id")
    keys = ["chain", "meter_id"]
    amounts = [
        (pl.col("quantity").cast(pl.Int128) * pl.col(p)).alias(f"amount_{n + 1}")
        for n, p in enumerate(PRICES)
    ]
    columns = ["subscription_id", "meter_id", "usage_start", "tier", "quantity"]
    flat = lines.join(price.lazy().filter(~pl.col("tiered")), on=keys).select(*columns, *amounts)
    tiered = price.lazy().filter(pl.col("tiered"))
    upto = pl.col("quantity").cum_sum().over("subscription_id", "meter_id", order_by="usage_start")
    graduated = (
        lines.join(tiered.select(keys).unique(), on=keys, how="semi")
        .with_columns(upto=upto)
        .join(tiered, on=keys)
        .filter(
            (pl.col("upto") > pl.col("tier_from"))
            & (pl.col("upto") - pl.col("quantity") < pl.col("tier_until"))
        )
        .with_columns(
            quantity=(
                pl.min_horizontal("upto", "tier_until")
                - pl.max_horizontal(pl.col("upto") - pl.col("quantity"), "tier_from")
            ).cast(pl.Int64)
        )
        .select(*columns, *amounts)
    )
    # Parquet knows no whole numbers of 128 bits: two of 64.
    unit = pl.lit(10**18, dtype=pl.Int128)
    split = [
        part
        for n in (1, 2, 3)
        for part in (
            (pl.col(f"amount_{n}") // unit).cast(pl.Int64).alias(f"amount_{n}_high"),
            (pl.col(f"amount_{n}") % unit).cast(pl.Int64).alias(f"amount_{n}_low"),
        )
    ]
    both = pl.concat([flat, graduated]).select(*columns, *split)
    both.sink_parquet(target, compression="uncompressed", engine="streaming")


def main():
    print(f"DuckDB {duckdb.__version__}, Polars {pl.__version__}, {THREADS} threads, "
          f"{OURS['lines']} usage lines, fastest of {REPEAT}")
    db = duck()
    rows = {}
    rows["DuckDB"] = (
        fastest("DuckDB totals", lambda: duck_totals(db)),
        fastest("DuckDB lines", lambda: duck_lines(db)),
    )
    tables = polars_tables()
    rows["Polars"] = (
        fastest("Polars totals", lambda: polars_totals(tables)),
        fastest("Polars lines", lambda: polars_lines(tables)),
    )
    wrong = False
    sums = None
    for name, ((totals_time, totals), (lines_time, lines)) in rows.items():
        same = [Decimal(total) == expected for total, expected in zip(totals, EXPECTED)]
        exact = tuple(Decimal(amount) for amount in lines[:3])
        sums = sums or exact
        wrong |= not all(same) or lines[3] != OURS["rated_lines"] or exact != sums
        print(f"{name:10} totals {totals_time:7.2f} s  lines {lines_time:7.2f} s  "
              f"{'same to the last unit' if not wrong else f'DIFFERS: {totals} {lines}'}")
    print(f"{'Skyhandel':10} totals {OURS['totals_seconds']:7.2f} s  lines {OURS['seconds']:7.2f} s, with the totals  "
          f"floor {OURS['floor_seconds']:.2f} s  peak {(OURS['peak_bytes'] or 0) >> 20} MiB")
    best = {at: min(row[at][0] for row in rows.values()) for at in (0, 1)}
    print(f"lines:  {best[1] / OURS['seconds']:.1f} times as fast as the faster peer")
    print(f"totals: {best[0] / OURS['totals_seconds']:.1f} times as fast as the best grouped SQL")
    print(f"floor:  rating takes {OURS['ratio_to_floor']:.2f} times the floor")
    cent = Decimal("0.01")
    print("exact sums of all lines:", *[amount.quantize(cent, ROUND_HALF_EVEN) for amount in sums])
    sys.exit(1 if wrong else 0)


main()
