# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Namespaces of Azure that no subscription of the local Azure is registered for, as it does not have them."""

from __future__ import annotations

from tests.local_azure.errors import ArmError

_NAMES = """
AlertsManagement ApiManagement App AppConfiguration Automation AVS Batch Billing Blueprint Cache Cdn
CognitiveServices Consumption ContainerInstance ContainerRegistry ContainerService CostManagement Databricks
DataFactory DBforMySQL DBforPostgreSQL DesktopVirtualization Devices DevTestLab DocumentDB DomainRegistration
ElasticSan EventGrid EventHub Features GuestConfiguration HDInsight HybridCompute Insights KeyVault Kusto
LabServices Logic MachineLearningServices Maintenance ManagedServices Migrate NetApp NotificationHubs
OperationalInsights OperationsManagement PolicyInsights PowerBIDedicated Purview RecoveryServices Relay
ResourceHealth Search Security ServiceBus ServiceFabric SignalRService Sql SqlVirtualMachine StorageCache
StorageSync StreamAnalytics Synapse VirtualMachineImages Web
"""
_SPELLED = {f"microsoft.{name.lower()}": f"Microsoft.{name}" for name in _NAMES.split()}


def no_such_namespace(namespace: str) -> ArmError:
    """What is said of a namespace that is not offered: that Azure has it, or that nobody does."""
    spelled = _SPELLED.get(namespace.lower())
    if spelled is None:
        return ArmError(
            404,
            "InvalidResourceNamespace",
            f"The resource namespace '{namespace}' is invalid.",
            gateway=True,
        )
    code = "MissingSubscriptionRegistration"
    message = (
        f"The subscription is not registered to use namespace '{spelled}'. See https://aka.ms/rps-not-found "
        "for how to register subscriptions."
    )
    details = [{"code": code, "target": spelled, "message": message}]
    return ArmError(409, code, message, gateway=True, details=details)
