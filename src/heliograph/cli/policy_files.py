"""Sending policies as files: of the workspace or, where the file names one, of a `tenant`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heliograph import errors
from heliograph.core import sending_policies


def read(identity: object, fields: Mapping[str, Any]) -> tuple[str, str, sending_policies.Policy]:
    """The tenant (an empty text: the workspace), how it is called, and what it says.

    Raises errors.InvalidInput with every fault.
    """
    given = dict(fields)
    tenant = given.pop("tenant", None)
    faults: list[errors.Fault] = []
    if identity is not None:
        faults.append(
            errors.Fault("id", "is left out: the workspace has one policy, and each `tenant` one of its own")
        )
    if tenant is not None and (not isinstance(tenant, str) or not tenant):
        faults.append(errors.Fault("tenant", "takes a tenant's id"))
    try:
        content = sending_policies.define(given)
    except errors.InvalidInput as refusal:
        raise errors.InvalidInput(faults=[*faults, *refusal.faults]) from None
    if faults:
        raise errors.InvalidInput(faults=faults)
    return tenant or "", tenant or "of the workspace", content
