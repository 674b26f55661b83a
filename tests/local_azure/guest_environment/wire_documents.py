# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The wire server's XML documents, and what its clients post to it.

Their shapes are what cloud-init and the Azure Linux Agent read (their sources, sources/helpers/azure.py and
common/protocol/), written anew.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.local_azure.guest_environment.network_namespace import WIRE_SERVER
from tests.local_azure.guest_environment.record import Environment

PROTOCOL_VERSIONS = ("2015-04-05", "2012-11-30", "2012-09-15", "2012-05-15", "2011-12-31", "2011-10-15")
INCARNATION = "1"
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'


class HealthReport(NamedTuple):
    """A report on provisioning: `state` Ready or NotReady, and for the latter why."""

    incarnation: str
    container_id: str
    state: str
    substatus: str
    description: str


def versions() -> str:
    supported = "".join(f"<Version>{version}</Version>" for version in PROTOCOL_VERSIONS)
    return (
        f"{_DECLARATION}<Versions><Preferred><Version>{PROTOCOL_VERSIONS[0]}</Version></Preferred>"
        f"<Supported>{supported}</Supported></Versions>"
    )


def goal_state(environment: Environment, version: str) -> str:
    instance = quote(environment.instance_id, safe="").replace("-", "%2D").replace("_", "%5F")
    base = f"http://{WIRE_SERVER}:80/machine/{environment.container_id}/{instance}"

    def link(kind: str) -> str:
        name = kind[0].upper() + kind[1:]
        return f"<{name}>{escape(f'{base}?comp=config&type={kind}&incarnation={INCARNATION}')}</{name}>"

    links = "".join(link(kind) for kind in ("hostingEnvironmentConfig", "sharedConfig", "extensionsConfig"))
    configuration_name = f"{environment.deployment_id}.{INCARNATION}.{environment.vm_name}.1.xml"
    return (
        f'{_DECLARATION}<GoalState xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="goalstate10.xsd">'
        f"<Version>{escape(version)}</Version><Incarnation>{INCARNATION}</Incarnation>"
        "<Machine><ExpectedState>Started</ExpectedState><StopRolesDeadlineHint>300000</StopRolesDeadlineHint>"
        "<LBProbePorts><Port>16001</Port></LBProbePorts><ExpectHealthReport>FALSE</ExpectHealthReport>"
        f"</Machine><Container><ContainerId>{environment.container_id}</ContainerId><RoleInstanceList>"
        f"<RoleInstance><InstanceId>{escape(environment.instance_id)}</InstanceId><State>Started</State>"
        f"<Configuration>{links}"
        f"<Certificates>{escape(f'{base}?comp=certificates&incarnation={INCARNATION}')}</Certificates>"
        f"<ConfigName>{escape(configuration_name)}</ConfigName></Configuration>"
        "</RoleInstance></RoleInstanceList></Container></GoalState>"
    )


def hosting_environment(environment: Environment) -> str:
    deployment, nobody = environment.deployment_id, uuid.UUID(int=0)
    return (
        f'{_DECLARATION}<HostingEnvironmentConfig version="1.0.0.0" goalStateIncarnation="{INCARNATION}">'
        f'<StoredCertificates/><Deployment name="{deployment}" guid="{{{deployment}}}" incarnation="0" '
        f'isNonCancellableTopologyChangeEnabled="false"><Service name="{environment.vm_name}" '
        f'guid="{{{nobody}}}"/><ServiceInstance name="{deployment}.0" guid="{{{nobody}}}"/></Deployment>'
        f'<Incarnation number="{INCARNATION}" instance="{environment.vm_name}" '
        f'guid="{{{environment.container_id}}}"/><Role guid="{{{environment.container_id}}}" '
        f'name="{environment.vm_name}" settleTimeSeconds="0"/>'
        '<HostingEnvironmentSettings name="full" Runtime="rd_fabric_stable"/>'
        f"<ApplicationSettings/><ResourceReferences/></HostingEnvironmentConfig>"
    )


def shared_configuration(environment: Environment) -> str:
    deployment, name = environment.deployment_id, environment.vm_name
    return (
        f'{_DECLARATION}<SharedConfig version="1.0.0.0" goalStateIncarnation="{INCARNATION}">'
        f'<Deployment name="{deployment}" guid="{{{deployment}}}" incarnation="0"/>'
        f'<Incarnation number="{INCARNATION}" instance="{name}" guid="{{{environment.container_id}}}"/>'
        f'<Role guid="{{{environment.container_id}}}" name="{name}" settleTimeSeconds="0"/>'
        f'<Instances><Instance id="{name}" address="{environment.address}"><FaultDomains randomId="0" '
        'updateId="0" updateCount="0"/></Instance></Instances></SharedConfig>'
    )


def extensions_configuration(environment: Environment) -> str:
    """No extensions, no other agent to change to; where the agent's status would go."""
    return (
        f'{_DECLARATION}<Extensions version="1.0.0.0" goalStateIncarnation="{INCARNATION}">'
        '<GuestAgentExtension xmlns:i="http://www.w3.org/2001/XMLSchema-instance">'
        f"<GAFamilies/><Location>{environment.location}</Location><ServiceName>CRP</ServiceName>"
        '</GuestAgentExtension><StatusUploadBlob statusBlobType="BlockBlob">'
        f"{escape(status_blob(environment))}</StatusUploadBlob>"
        f'<InVMGoalStateMetaData inSvdSeqNo="1" createdOnTicks="635855231999999999" '
        f'activityId="{environment.deployment_id}" correlationId="{environment.container_id}"/></Extensions>'
    )


def status_blob(environment: Environment) -> str:
    """The host's plugin keeps the status itself; nothing answers at this address."""
    account = f"md-{environment.container_id.replace('-', '')[:12]}"
    return (
        f"https://{account}.blob.core.windows.net/$system/{environment.vm_name}.{environment.container_id}"
        ".status?sv=2018-03-28&sr=b&sk=system-1&sig=none&se=9999-01-01T00%3a00%3a00Z&sp=w"
    )


def certificates(encrypted: str) -> str:
    """`encrypted`: the envelope in base64."""
    return (
        f"{_DECLARATION}<CertificateFile><Version>2010-12-15</Version><Incarnation>{INCARNATION}"
        f"</Incarnation><Format>Pkcs7BlobWithPfxContents</Format><Data>{encrypted}</Data></CertificateFile>"
    )


def parse_health_report(document: bytes) -> HealthReport | None:
    """None when it is none. Nothing but element names and text is read, so entities are refused."""
    if b"<!" in document.replace(b"<![CDATA[", b""):
        return None
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 - without declarations, see above
    except ElementTree.ParseError:
        return None
    health = root.find("./Container/RoleInstanceList/Role/Health")
    if root.tag != "Health" or health is None:
        return None
    return HealthReport(
        incarnation=root.findtext("GoalStateIncarnation", ""),
        container_id=root.findtext("./Container/ContainerId", ""),
        state=health.findtext("State", ""),
        substatus=health.findtext("./Details/SubStatus", ""),
        description=health.findtext("./Details/Description", ""),
    )
