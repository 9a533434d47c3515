"""Named ways to damage the SQL, each with the test of this folder that has to notice."""

from tests.sql.mutations import access, camera, people, wall, watching

MUTATIONS = [
    *access.MUTATIONS,
    *wall.MUTATIONS,
    *watching.MUTATIONS,
    *camera.MUTATIONS,
    *people.MUTATIONS,
]
