/// The identifiers of SPDX's list that sources of models state.
///
/// The list is https://spdx.org/licenses/. Those of it that are deprecated are left out, "GPL-3.0"
/// for one: it does not say whether later versions are meant.
enum SPDXLicense {
  /// The identifier that a source's words are, as SPDX writes it; nil where they are none.
  ///
  /// Identifiers are compared without case, as SPDX 2.3 demands in annex D: "apache-2.0" is
  /// "Apache-2.0".
  static func identifier(_ stated: String) -> String? { byLowercase[stated.lowercased()] }

  private static let identifiers = [
    "0BSD", "AFL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0", "Artistic-2.0",
    "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSL-1.0", "CC-BY-2.0", "CC-BY-2.5",
    "CC-BY-3.0", "CC-BY-4.0", "CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0", "CC-BY-NC-ND-3.0",
    "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0",
    "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0",
    "CDLA-Sharing-1.0", "ECL-2.0", "EPL-1.0", "EPL-2.0", "EUPL-1.1", "EUPL-1.2", "GPL-2.0-only",
    "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "ISC", "LGPL-2.1-only",
    "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "LPPL-1.3c", "MIT", "MIT-0",
    "MPL-2.0", "MS-PL", "MulanPSL-2.0", "NCSA", "ODbL-1.0", "ODC-By-1.0", "OFL-1.1", "OSL-3.0",
    "PDDL-1.0", "PostgreSQL", "Unlicense", "WTFPL", "Zlib",
  ]

  private static let byLowercase = Dictionary(
    uniqueKeysWithValues: identifiers.map { ($0.lowercased(), $0) })
}
