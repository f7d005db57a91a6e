"""A project: images, their objects, and every correction, in one folder that survives crashes."""

from napari_sartorius.io.project.edit import LabelEdit, Row, edit_between
from napari_sartorius.io.project.opening import create_project, open_project, project_dataset
from napari_sartorius.io.project.plane import AnnotatedPlane
from napari_sartorius.io.project.project import Project
from napari_sartorius.io.project.state import Status

__all__ = [
    "AnnotatedPlane",
    "LabelEdit",
    "Project",
    "Row",
    "Status",
    "create_project",
    "edit_between",
    "open_project",
    "project_dataset",
]
