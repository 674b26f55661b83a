# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Comes first, before preflight/begin.ps1: what the scripts of this folder are told.
param([string[]]$Options = @(), [string[]]$Services = @(), [int]$DeadlineSeconds = 3600, [int]$PollSeconds = 5, [int]$LogBytes = 2097152, [int]$PowerOffSeconds = 30)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
