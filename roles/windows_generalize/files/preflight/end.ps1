# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Comes after the collectors: all answers as one text.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

ConvertTo-Json -InputObject $Answers -Depth 8 -Compress
