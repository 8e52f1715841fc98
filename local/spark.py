"""PySpark with Delta Lake's jars, for the test that reads feature tables with it."""

from __future__ import annotations

from pathlib import Path

from local.environments import need_environment
from local.errors import PreflightError
from local.settings import Settings
from local.shell import find, run

VERSION = "4.0.5"
PACKAGES = (f"pyspark=={VERSION}", "delta-spark==4.0.1")
_JARS = "io.delta:delta-spark_2.13:4.0.1"
_COLLECT = """
import shutil, sys
from pathlib import Path
import pyspark
from pyspark.sql import SparkSession
ivy, jars = Path(sys.prefix) / "ivy", Path(pyspark.__file__).parent / "jars"
made = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
made.config("spark.jars.packages", sys.argv[1]).config("spark.jars.ivy", str(ivy)).getOrCreate().stop()
for jar in (ivy / "jars").glob("*.jar"):
    if not (jars / jar.name.partition("_")[2]).exists():
        shutil.copy(jar, jars / jar.name.partition("_")[2])
"""


def need_spark(settings: Settings) -> Path:
    """The Python of an environment with PySpark and Delta Lake; made at the first call, which takes some minutes and half a
    gigabyte. Raises PreflightError."""
    if find("java") is None:
        raise PreflightError(["PySpark needs Java 17: install a JRE, such as openjdk-17-jre-headless"])
    return need_environment(settings, f"spark-{VERSION}", PACKAGES, _add_jars)


def _add_jars(python: Path) -> None:
    """Delta Lake's jars beside Spark's own, so that later starts need no network."""
    run([str(python), "-c", _COLLECT, _JARS], timeout=900)
