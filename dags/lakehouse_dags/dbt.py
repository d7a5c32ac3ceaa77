"""A build of dbt as a task: it runs in the checkout, by the jobs' own environment, and ends as a job does."""

from pathlib import Path
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from lakehouse.settings import load_settings
from lakehouse_dags.jobs import checkout, ended, jobs_environment, missing_settings


def is_installed() -> bool:
    """Whether `make dbt` has made dbt's environment in the checkout."""
    return (checkout() / ".venv-dbt" / "made-by-make-dbt").is_file()


class DbtBuild(BaseOperator):
    """Runs `python -m tools.dbt`. A test that fails fails the task at once; a server that does not answer is tried again."""

    # By this name the alert tells whose gate refused.
    layer = "dbt"

    def execute(self, context: Any) -> None:
        """Builds on the gold that is published now, whatever day the run is for."""
        python = jobs_environment() / "bin" / "python"
        faults = [*missing_settings(load_settings()), *_missing_files(python)]
        if faults:
            raise AirflowFailException(f"nothing was built: {'; '.join(faults)}")
        # dbt's password is in the environment of dbt alone, which tools.dbt makes.
        done = self._process.run_command([str(python), "-m", "tools.dbt"], cwd=str(checkout()))
        if done.exit_code:
            raise ended("the build of dbt", done.exit_code)

    def on_kill(self) -> None:
        """Ends what the task has started."""
        self._process.send_sigterm()

    @property
    def _process(self) -> SubprocessHook:
        # Late: an operator is written down for the scheduler, and a process cannot be.
        self.__dict__.setdefault("_hook", SubprocessHook())
        return self.__dict__["_hook"]


def _missing_files(python: Path) -> list[str]:
    needed = {
        python: "make setup, or set LAKEHOUSE_JOBS_ENVIRONMENT",
        checkout() / "tools" / "dbt": "set LAKEHOUSE_ROOT to the checkout",
    }
    return [f"{path} is not there: {advice}" for path, advice in needed.items() if not path.exists()]
