# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Documentation of the credential options that every module of this collection takes."""

from __future__ import annotations


class ModuleDocFragment:
    """Credential options; named as in azure.azcollection."""

    DOCUMENTATION = r"""
options:
  auth_source:
    description:
      - Where the credential comes from.
      - V(auto) takes the first that is there of the options of this module, environment variables, the
        profile V(default) of the file C(~/.azure/credentials), and C(az login).
      - V(env) takes environment variables only, V(credential_file) a profile of C(~/.azure/credentials),
        V(cli) what C(az login) left, V(msi) the managed identity of the Azure machine the module runs on.
      - When not set, the environment variable E(ANSIBLE_AZURE_AUTH_SOURCE) is used, and V(auto) without it.
      - A credential is taken from one place as a whole. Empty strings count as not set everywhere.
    type: str
    choices: [auto, cli, credential_file, env, msi]
  profile:
    description:
      - Name of a profile in the INI file C(~/.azure/credentials), whose keys are the names of these options.
      - When not set, the environment variable E(AZURE_PROFILE) is used.
    type: str
  subscription_id:
    description:
      - Id of the subscription to work in.
      - When not set, the profile's, then the environment variable E(AZURE_SUBSCRIPTION_ID), then the default
        subscription of C(az login) is used.
    type: str
  client_id:
    description:
      - Application (client) id of the service principal or workload identity, or client id of a user-assigned
        managed identity together with O(auth_source=msi).
      - When not set, the environment variable E(AZURE_CLIENT_ID) is used.
    type: str
  secret:
    description:
      - Client secret of the service principal.
      - When not set, the environment variable E(AZURE_SECRET), or else E(AZURE_CLIENT_SECRET), is used.
    type: str
  tenant:
    description:
      - Tenant id or domain of the service principal.
      - When not set, the environment variable E(AZURE_TENANT), or else E(AZURE_TENANT_ID), is used.
    type: str
  ad_user:
    description:
      - Name of a user to sign in with O(password). This fails for users with multi-factor authentication, and
        Microsoft has deprecated it. Use a service principal instead.
      - When not set, the environment variable E(AZURE_AD_USER) is used.
    type: str
  password:
    description:
      - Password of O(ad_user), or of the private key in O(x509_certificate_path).
      - When not set, the environment variable E(AZURE_PASSWORD), or else
        E(AZURE_CLIENT_CERTIFICATE_PASSWORD), is used.
    type: str
  cloud_environment:
    description:
      - V(AzureCloud), V(AzureChinaCloud), V(AzureUSGovernment), or the https URL of the resource manager of
        another Azure, such as Azure Stack Hub, which describes its endpoints itself.
      - When not set, the environment variable E(AZURE_CLOUD_ENVIRONMENT) is used, then the cloud of C(az
        login) if that is the credential, then V(AzureCloud).
    type: str
  cert_validation_mode:
    description:
      - V(ignore) leaves TLS certificates unchecked, for test systems. To trust another certificate authority,
        name its file in the environment variable E(REQUESTS_CA_BUNDLE) instead.
      - When not set, the environment variable E(AZURE_CERT_VALIDATION_MODE) is used, and V(validate) without
        it.
    type: str
    choices: [validate, ignore]
  adfs_authority_url:
    description:
      - URL of the AD FS that signs in, for an Azure Stack Hub without Microsoft Entra ID.
      - When not set, the environment variable E(AZURE_ADFS_AUTHORITY_URL) is used.
    type: str
  x509_certificate_path:
    description:
      - Path of the service principal's certificate with its private key, in a PEM or PFX file. Give
        O(password) if the key is encrypted.
      - When not set, the environment variable E(AZURE_X509_CERTIFICATE_PATH), or else
        E(AZURE_CLIENT_CERTIFICATE_PATH), is used.
    type: path
  thumbprint:
    description:
      - Accepted for compatibility with azure.azcollection, as is the environment variable
        E(AZURE_THUMBPRINT). It is computed from the certificate.
    type: str
  oidc_token:
    description:
      - Token of an OpenID Connect provider that the application trusts (workload identity federation).
      - When not set, the environment variable E(AZURE_FEDERATED_TOKEN) is used.
    type: str
  oidc_token_file_path:
    description:
      - Path of a file with such a token. It is read again whenever a token is needed.
      - When not set, the environment variable E(AZURE_FEDERATED_TOKEN_FILE) is used.
    type: path
  disable_instance_discovery:
    description:
      - Do not ask Microsoft whether the sign-in endpoint is a known one. This is off by itself for clouds
        that are given as an URL.
      - When not set, the environment variable E(AZURE_DISABLE_INSTANCE_DISCOVERY) is used.
    type: bool
requirements:
  - python >= 3.10
  - azure-identity >= 1.19.0
  - azure-mgmt-compute >= 33.1.0
notes:
  - Proxies and certificate authorities are taken from the environment variables E(HTTPS_PROXY), E(NO_PROXY)
    and E(REQUESTS_CA_BUNDLE).
  - The module runs where Ansible runs it. Use C(delegate_to=localhost), or a play on localhost, to run it on
    the controller.
"""
