# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Comes first, before preflight/begin.ps1: what the scripts of this folder are told. Kinds and Targets go together.
param([string[]]$Files = @(), [string[]]$UserKeys = @(), [string[]]$Values = @(), [string[]]$Kinds = @(), [string[]]$Targets = @())
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
