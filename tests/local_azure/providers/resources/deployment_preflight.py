# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Resource Manager asks the providers before it deploys anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.local_azure.call import properties_of
from tests.local_azure.errors import ArmError
from tests.local_azure.identity.access import Access
from tests.local_azure.identity.directory import Principal
from tests.local_azure.providers.marketplace.marketplace_catalogue import find_platform_image
from tests.local_azure.providers.resources.deployment_content import Content
from tests.local_azure.providers.resources.deployment_errors import DeploymentError
from tests.local_azure.providers.resources.provider_registry import ProviderRegistry
from tests.local_azure.store import Json
from tests.local_azure.templates.errors import TemplateError
from tests.local_azure.templates.plan import PlannedResource

_ACTION_TYPES = {"microsoft.resources/resourcegroups": "Microsoft.Resources/subscriptions/resourceGroups"}
_PARTS = (("Publisher", "publisher"), ("Offer", "offer"), ("Sku", "sku"), ("Version", "version"))


def refuse_forbidden(content: Content, access: Access, principal: Principal) -> None:
    """Raises for resources that the principal may not write: nothing is deployed then."""
    texts = []
    for resource in content.deployed:
        action = f"{_ACTION_TYPES.get(resource.type.lower(), resource.type)}/write"
        if not access.allows(principal, action, resource.id):
            texts.append(
                f"Authorization failed for template resource '{resource.name}' of type '{resource.type}'. "
                f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have "
                f"permission to perform action '{action}' at scope '{resource.id}'."
            )
    if texts:
        several = "Deployment failed with multiple errors" if len(texts) > 1 else ""
        begin = several or "The template deployment failed with error"
        raise DeploymentError(403, "InvalidTemplateDeployment", f"{begin}: '{':'.join(texts)}'.")


def preflight(content: Content, registry: ProviderRegistry) -> list[Json]:
    """The errors that the providers would answer; what cannot be known yet is not asked about."""
    return [*_unknown_types(content, registry), *_missing_images(content)]


def _unknown_types(content: Content, registry: ProviderRegistry) -> Iterator[Json]:
    namespaces = {name.lower() for name in registry.namespaces()}
    for resource in content.deployed:
        namespace, _slash, kind = resource.type.partition("/")
        if namespace.lower() not in namespaces:
            yield {
                "code": "InvalidResourceNamespace",
                "message": f"The resource namespace '{namespace}' is invalid.",
            }
        elif not registry.knows(resource.type):
            yield {
                "code": "InvalidResourceType",
                "message": f"The resource type '{kind}' could not be found in the namespace '{namespace}' "
                f"for api version '{resource.api_version}'.",
            }


def _missing_images(content: Content) -> Iterator[Json]:
    """Compute names all the platform images that are not there in one error."""
    missing = []
    for resource in content.deployed:
        if resource.type.lower() != "microsoft.compute/virtualmachines":
            continue
        reference = _image_reference(resource)
        if not all(isinstance(reference.get(key), str) for _label, key in _PARTS):
            continue
        try:
            find_platform_image(reference)
        except ArmError:
            missing.append(", ".join(f"{label}: {reference[key]}" for label, key in _PARTS))
    if missing:
        yield {
            "code": "InvalidParameter",
            "target": "imageReference",
            "message": "The following list of images referenced from the deployment template are not found: "
            f"{'; '.join(missing)}. Please refer to "
            "https://docs.microsoft.com/en-us/azure/virtual-machines/windows/cli-ps-findimage for "
            "instructions on finding available images.",
        }


def _image_reference(resource: PlannedResource) -> Json:
    profile: Any = properties_of(resource.definition).get("storageProfile")
    reference = profile.get("imageReference") if isinstance(profile, dict) else None
    try:
        known = resource.evaluator.value(reference)
    except TemplateError:
        return {}
    return known if isinstance(known, dict) else {}
