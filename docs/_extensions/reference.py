"""What the reference must hold: all that is public.

A build warns of what has no entry, which is an error with ``-W``.
"""

import inspect
import pkgutil
import re
from importlib import import_module

from sphinx.util import logging

import fastgmm

# Of scikit-learn's metadata routing. Users meet it at meta-estimators, and
# scikit-learn describes it; eight methods for each class would hide ours.
LEFT_OUT = re.compile(r"set_\w+_request|get_metadata_routing")


def members(owner):
    """Names of the public methods and properties of a class."""
    names = [
        name
        for name, member in inspect.getmembers_static(owner)
        if not name.startswith("_")
        and not LEFT_OUT.fullmatch(name)
        and (callable(member) or isinstance(member, classmethod | property))
    ]
    return sorted(names, key=lambda name: (name != "fit", name))


def public():
    """Names of all public classes and functions, with their members."""
    found = {}
    names = [each.name for each in pkgutil.iter_modules(fastgmm.__path__)]
    modules = [import_module(f"fastgmm.{n}") for n in names if n[0] != "_"]
    for module in (fastgmm, *modules):
        module_name = module.__name__
        for name in getattr(module, "__all__", ()):
            each = getattr(module, name)
            if callable(each):
                is_class = inspect.isclass(each)
                found[f"{module_name}.{name}"] = members(each) if is_class else []
    return found


def check(app, env):
    documented = env.domains.python_domain.objects
    for name, names in public().items():
        for each in (name, *(f"{name}.{member}" for member in names)):
            if each not in documented:
                logging.getLogger(__name__).warning("%s is public, but not in the reference", each)


def setup(app):
    app.config.autosummary_context["entries"] = public()
    app.connect("env-check-consistency", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
