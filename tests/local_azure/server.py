# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Puts the local Azure together and serves it."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobStore
from tests.local_azure.certificates import Certificates, ensure_certificates
from tests.local_azure.environment import write_environment
from tests.local_azure.exchange_log import ExchangeLog
from tests.local_azure.faults.board import FaultBoard
from tests.local_azure.faults.control import FaultControl
from tests.local_azure.faults.middleware import FaultyWay
from tests.local_azure.faults.rules import read_profile
from tests.local_azure.faults.visibility import Visibility
from tests.local_azure.front import Front
from tests.local_azure.guest_identity import GuestIdentity
from tests.local_azure.guests_host import GuestHost
from tests.local_azure.identity.entra import Entra
from tests.local_azure.identity.managed_identity import ManagedIdentity
from tests.local_azure.identity.tokens import Tokens
from tests.local_azure.kinds import ResourceKind
from tests.local_azure.metadata import Metadata
from tests.local_azure.operations import Operations
from tests.local_azure.providers.compute.availability_sets import AvailabilitySets
from tests.local_azure.providers.compute.compute_skus import ComputeSkus
from tests.local_azure.providers.compute.extension_images import ExtensionImages
from tests.local_azure.providers.compute.images import Images
from tests.local_azure.providers.compute.proximity_groups import ProximityGroups
from tests.local_azure.providers.compute.run_command_documents import RunCommandDocuments
from tests.local_azure.providers.compute.ssh_public_keys import SshPublicKeys
from tests.local_azure.providers.compute.usage import Usage
from tests.local_azure.providers.compute.virtual_machines import VirtualMachines
from tests.local_azure.providers.compute.vm_extensions import Extensions
from tests.local_azure.providers.compute.vm_run_commands import RunCommands
from tests.local_azure.providers.disks.disk_accesses import DiskAccesses
from tests.local_azure.providers.disks.disk_encryption_sets import DiskEncryptionSets
from tests.local_azure.providers.disks.disk_restore_points import DiskRestorePoints
from tests.local_azure.providers.disks.disks import Disks
from tests.local_azure.providers.disks.restore_point_collections import RestorePointCollections
from tests.local_azure.providers.disks.restore_points import RestorePoints
from tests.local_azure.providers.disks.snapshots import Snapshots
from tests.local_azure.providers.galleries.community_galleries import CommunityGalleries
from tests.local_azure.providers.galleries.galleries import Galleries
from tests.local_azure.providers.galleries.gallery_images import GalleryImages
from tests.local_azure.providers.galleries.gallery_soft_delete import SoftDeletedVersions
from tests.local_azure.providers.galleries.gallery_versions import GalleryVersions
from tests.local_azure.providers.galleries.shared_galleries import SharedGalleries
from tests.local_azure.providers.marketplace.marketplace_agreements import MarketplaceAgreements
from tests.local_azure.providers.marketplace.marketplace_images import MarketplaceImages
from tests.local_azure.providers.network.network_interfaces import Interfaces
from tests.local_azure.providers.network.network_usages import NetworkUsages
from tests.local_azure.providers.network.public_addresses import PublicAddresses
from tests.local_azure.providers.network.route_tables import ApplicationSecurityGroups, Routes, RouteTables
from tests.local_azure.providers.network.security_groups import (
    DefaultSecurityRules,
    SecurityGroups,
    SecurityRules,
)
from tests.local_azure.providers.network.virtual_networks import Subnets, VirtualNetworks
from tests.local_azure.providers.resources.deployment_operations import (
    DeploymentOperations,
    DeploymentStatuses,
)
from tests.local_azure.providers.resources.deployments import Deployments
from tests.local_azure.providers.resources.provider_registry import ProviderRegistry
from tests.local_azure.providers.resources.resources import Resources
from tests.local_azure.providers.resources.user_assigned_identities import UserAssignedIdentities
from tests.local_azure.providers.storage.blob_containers import BlobContainers, BlobServices
from tests.local_azure.providers.storage.storage_accounts import StorageAccounts
from tests.local_azure.quota_control import QuotaControl
from tests.local_azure.routing import Router
from tests.local_azure.run_command_control import RunCommandControl
from tests.local_azure.settings import Settings
from tests.local_azure.store import Store

_THREADS = 64
_MAX_BODY = 4 * 1024 * 1024
_log = logging.getLogger("local_azure")


class PortTakenError(Exception):
    """Another program listens where Azure Resource Manager is to be."""


def _bind(port: int) -> socket.socket:
    """A socket that does not listen yet, so that nobody is let in before everything is ready."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise PortTakenError(f"Port {port} of 127.0.0.1 is taken; give another one with --port.") from error
    return listener


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Requests that are no HTTP are answered with 400; their traces would look like errors of the server."""
    return not (record.exc_info and isinstance(record.exc_info[1], BadHttpMessage))


class Server:
    """Everything that belongs to one state directory. `start` and `stop` run in the same event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.certificates: Certificates = ensure_certificates(settings.state_dir)
        self.tokens = Tokens(settings)
        self.entra = Entra(settings, self.tokens)
        self.store = Store(settings.state_dir / "state.sqlite")
        self.log = ExchangeLog(settings.state_dir / "exchanges.jsonl")
        self.operations = Operations(settings, self.store)
        self.blobs = BlobStore(
            settings.state_dir,
            self.certificates.server,
            self.certificates.key,
            settings.ports.blob,
            speed=settings.pace.speed,
        )
        self.guests = GuestHost(settings.state_dir, self.blobs) if settings.with_guests else None
        self.azure = LocalAzure(settings, self.store, self.operations, self.blobs, self.guests)
        self.faults = FaultBoard(settings.state_dir / "faults.jsonl", self.blobs, settings.fault_seed)
        self._guest_identity = GuestIdentity(self.azure, self.tokens)
        self._runner: web.AppRunner | None = None

    def _application(self) -> web.Application:
        azure = self.azure
        disks, interfaces, addresses = Disks(azure), Interfaces(azure), PublicAddresses(azure)
        networks, groups, tables = VirtualNetworks(azure), SecurityGroups(azure), RouteTables(azure)
        machines = VirtualMachines(azure, disks, interfaces, addresses)
        accounts, soft_deleted = StorageAccounts(azure), SoftDeletedVersions(azure)
        kinds: list[ResourceKind] = [
            accounts,
            BlobServices(azure),
            BlobContainers(azure),
            networks,
            Subnets(networks),
            interfaces,
            addresses,
            groups,
            SecurityRules(groups),
            DefaultSecurityRules(groups),
            ApplicationSecurityGroups(azure),
            tables,
            Routes(tables),
            disks,
            Snapshots(azure),
            RestorePointCollections(azure),
            RestorePoints(azure),
            DiskRestorePoints(azure),
            DiskEncryptionSets(azure),
            DiskAccesses(azure),
            UserAssignedIdentities(azure),
            Images(azure),
            Galleries(azure),
            GalleryImages(azure),
            GalleryVersions(azure, soft_deleted),
            soft_deleted,
            AvailabilitySets(azure),
            ProximityGroups(azure),
            SshPublicKeys(azure),
            machines,
            RunCommands(azure, machines.power),
            Extensions(azure, machines.power),
        ]
        deployments = Deployments(azure, ProviderRegistry(kinds))
        kinds += [
            deployments,
            DeploymentOperations(azure, deployments),
            DeploymentStatuses(azure, deployments),
        ]
        resources = Resources(azure, kinds)
        router = Router(
            azure,
            self.tokens,
            kinds=kinds,
            resources=resources.handlers(),
            subscription_verbs={
                **accounts.subscription_verbs(),
                **addresses.subscription_verbs(),
                **NetworkUsages(azure).verbs(),
                **ExtensionImages().verbs(),
                **MarketplaceImages().verbs(),
                **MarketplaceAgreements(azure).verbs(),
                **ComputeSkus().verbs(),
                **Usage(azure).verbs(),
                **RunCommandDocuments().verbs(),
                **machines.subscription_verbs(),
                **SharedGalleries(azure).verbs(),
                **CommunityGalleries(azure).verbs(),
            },
        )
        deployments.connect(router.dispatch)
        front = Front(azure, self.tokens, router, self.log)
        way = FaultyWay(self.settings.url, self.faults, Visibility(self.store), self.tokens, self.log)
        application = web.Application(client_max_size=_MAX_BODY, middlewares=[way.middleware()])
        application.add_routes(
            [
                *FaultControl(self.settings.state_dir, self.faults, way).routes(),
                *QuotaControl(self.settings.state_dir, azure).routes(),
                *RunCommandControl(self.settings.state_dir, azure).routes(),
                *Metadata(self.settings).routes(),
                *ManagedIdentity(self.settings, self.tokens).routes(),
                *self.entra.routes(),
                *front.routes(),
            ]
        )
        return application

    async def start(self) -> None:
        """Serves from now on; operations that a stop interrupted are taken up again."""
        listener = _bind(self.settings.ports.arm)
        # Waiting for a guest takes a thread for minutes; blobs must not wait behind it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        await asyncio.to_thread(self.blobs.start)
        if self.settings.faults is not None:
            self.faults.add(read_profile(self.settings.faults))
            await asyncio.to_thread(self.faults.publish)
        application = self._application()
        write_environment(self.settings, self.certificates, self.entra)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificates.server, self.certificates.key)
        logging.getLogger("aiohttp.server").addFilter(_is_our_fault)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=context).start()
        if self.guests is not None:
            await self._guest_identity.start(self.guests.identity_socket)
        self.operations.resume()
        _log.info("serving %s", self.settings.url)

    async def stop(self) -> None:
        """Ends all that was started: operations, guests, the blob service."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self.operations.close()
        await self._guest_identity.stop()
        if self.guests is not None:
            await asyncio.to_thread(self.guests.stop_all)
        await asyncio.to_thread(self.blobs.stop)
        self.log.close()
        self.store.close()
