"""``read_with_spark.py TABLE VERSION``, run with PySpark's own Python: prints the rows of a Delta table, one JSON each."""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession

builder = SparkSession.builder.master("local[1]")
for name, value in {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
table = spark.read.format("delta").option("versionAsOf", sys.argv[2]).load(sys.argv[1])
for line in table.orderBy("user").toJSON().collect():
    print(line)
spark.stop()
