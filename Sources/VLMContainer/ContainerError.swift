import VLMFoundation
import VLMTensor

/// Why a container could not be read or written: where in it, and which rule of
/// `formats/vlmz.md` it breaks.
package struct ContainerError: ReportableError, Equatable {
  package enum Place: Sendable, Equatable {
    case file
    case header
    case table
    case padding(at: Int)
    /// Index in the section table, and name.
    case section(Int, String)
    case named(SectionKind)
    case indexEntry(Int)
    case tensor(String)
  }

  package enum Problem: Sendable, Equatable {
    case file(FileError)
    /// A file of another well-known format [R02].
    case foreign(FileKind)
    /// A container damaged by a text-mode transfer [R02].
    case mangled
    /// `Read_Version` [R03].
    case version(found: Int, supported: Int)
    case value(Rule, field: String, found: String, expected: String)
    case hash(Rule, found: UInt64, expected: UInt64)
    case root(found: [UInt8], expected: [UInt8])
    /// A broken rule, described by one sentence.
    case broken(Rule, String)
  }

  package let path: String
  package let place: Place
  package let problem: Problem

  package init(path: String, place: Place, problem: Problem) {
    self.path = path
    self.place = place
    self.problem = problem
  }

  init(_ error: FileError) {
    self.init(path: error.path, place: .file, problem: .file(error))
  }

  /// The rule that is broken; nil if the file could not be read or written at all.
  package var rule: Rule? {
    switch problem {
    case .file: nil
    case .foreign, .mangled: .r02
    case .version: .r03
    case .root: .r24
    case .value(let rule, _, _, _), .hash(let rule, _, _), .broken(let rule, _): rule
    }
  }

  package var exitStatus: ExitStatus {
    if case .file(let error) = problem { return error.exitStatus }
    return .badData
  }

  package func description(in words: Wording) -> String {
    if case .file(let error) = problem { return error.description(in: words) }
    let id = rule.map { " [\($0.rawValue)]" } ?? ""
    return "\(path.escapedForDisplay()): \(placeText)\(problemText)\(id)"
  }

  private var placeText: String {
    switch place {
    case .file: ""
    case .header: "header: "
    case .table: "section table: "
    case .padding(let offset): "padding at byte \(offset): "
    case .section(let index, let name): "section \(index) '\(name.escapedForDisplay())': "
    case .named(let kind): "section '\(kind)': "
    case .indexEntry(let index): "tensor index entry \(index): "
    case .tensor(let name): "tensor '\(name.escapedForDisplay())': "
    }
  }

  private var problemText: String {
    switch problem {
    case .file(let error): error.description
    case .foreign(let kind): "is \(kind.instead(of: "a .vlmz container"))"
    case .mangled: "was changed by a transfer in text mode; copy it again in binary mode"
    case .version(let found, let supported) where found > supported:
      "format version \(found), this build reads up to \(supported); "
        + "convert the checkpoint again or update vlm-run"
    case .version(let found, let supported):
      "format version \(found), expected 1 to \(supported)"
    case .value(_, let field, let found, let expected):
      "\(field) \(found.escapedForDisplay()), expected \(expected.escapedForDisplay())"
    case .hash(_, let found, let expected):
      "checksum \(hexadecimal(found)), expected \(hexadecimal(expected)): the bytes are damaged"
    case .root(let found, let expected):
      "root hash \(hexadecimal(found)), expected \(hexadecimal(expected))"
    case .broken(_, let text): text
    }
  }
}
