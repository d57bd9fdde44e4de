"""Profiles: how much a lesson trains. Each lesson has the parameters `profile` and `seed`."""

from recsys_helpers.errors import CourseError

PROFILES = {
    "smoke": "a few steps, to see that every cell runs; claims about quality are not checked",
    "quick": "the course's default: trained in minutes on two CPU cores",
    "full": "trained until it stops getting better; meant for a GPU or a night",
}


def by_profile(profile: str, **settings):
    """The setting that belongs to a profile: `epochs = by_profile(profile, smoke=1, quick=16, full=60)`.

    Raises:
        CourseError: for a profile that does not exist.
    """
    check_profile(profile)
    return settings[profile]


def check_profile(profile: str) -> None:
    """Refuse an unknown profile with the list of the known ones."""
    if profile not in PROFILES:
        raise CourseError(f"profile {profile!r} does not exist; choose one of {', '.join(PROFILES)}")
