"""The doors of a home: who opens one of an older release is written down as having brought it to this one."""

from core.people.accounts import operating_system_user
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import opened, prepare_home
from core.store.migrating import Migration


def enter_home(settings: Settings) -> Migration:
    """`prepare_home` for the doors: server, worker and command line, which all act for whoever started them.

    Raises:
        CoreError: as `prepare_home`.
    """
    done = prepare_home(settings)
    if done.copy_kept:  # else nothing was there before, or nothing was to do
        with opened(settings) as connection:
            shell = Actor(operating_system_user(), "command line")
            add_audit(connection, shell, "migrate", "home", steps=list(done.steps))
    return done
