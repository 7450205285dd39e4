import VLMContainer
import VLMFoundation

/// Why a delta could not be made, read or applied: where, and which rule of `formats/vlmzd.md` is
/// broken.
package struct DeltaError: ReportableError, Equatable {
  package enum Place: Sendable, Equatable {
    case file
    case header
    case table
    /// The place in the table, from 0.
    case operation(Int)
  }

  package enum Problem: Sendable, Equatable {
    case file(FileError)
    /// A container that takes part cannot be opened, or is damaged; the rule where the delta is not
    /// to blame for it alone.
    case container(ContainerError, DeltaRule?)
    /// A file of another kind, and what it is.
    case foreign(FileKind)
    case value(DeltaRule, field: String, found: String, expected: String)
    case hash(DeltaRule, found: UInt64, expected: UInt64)
    case broken(DeltaRule, String)
    /// The model is neither the base nor the target.
    case otherBase(found: ModelIdentity, delta: String, expected: ModelIdentity)
    /// The model is the target, of which no second copy is made.
    case alreadyApplied
    /// zstd found no memory.
    case noMemory
  }

  package let path: String
  package let place: Place
  package let problem: Problem

  package init(path: String, place: Place = .file, _ problem: Problem) {
    self.path = path
    self.place = place
    self.problem = problem
  }

  init(_ error: FileError) { self.init(path: error.path, .file(error)) }

  /// A model that cannot be opened, or that is damaged.
  init(_ error: ContainerError, _ rule: DeltaRule? = nil) {
    self.init(path: error.path, .container(error, rule))
  }

  /// The rule that is broken; nil if a file could not be read or written at all.
  package var rule: DeltaRule? {
    switch problem {
    case .file, .alreadyApplied, .noMemory: nil
    case .container(_, let rule): rule
    case .foreign: .d02
    case .otherBase: .d17
    case .value(let rule, _, _, _), .hash(let rule, _, _), .broken(let rule, _): rule
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .file(let error): error.exitStatus
    case .container(let error, _): error.exitStatus
    case .noMemory: .osError
    default: .badData
    }
  }

  package func description(in words: Wording) -> String {
    switch problem {
    case .file(let error): return error.description(in: words)
    // The container's own rule is told.
    case .container(let error, let rule) where rule != .d21: return error.description(in: words)
    default: break
    }
    let id = rule.map { " [\($0.rawValue)]" } ?? ""
    return "\(path.escapedForDisplay()): \(placeText)\(problemText(words))\(id)"
  }

  private var placeText: String {
    switch place {
    case .file: ""
    case .header: "header: "
    case .table: "table: "
    case .operation(let index): "operation \(index): "
    }
  }

  private func problemText(_ words: Wording) -> String {
    switch problem {
    case .file(let error): return error.description(in: words)
    case .container(let error, _):
      return "the result is no sound container: \(error.description(in: words))"
    case .foreign(let kind):
      return "is " + kind.instead(of: "a .vlmzd delta")
    case .value(_, let field, let found, let expected):
      return "\(field) \(found), expected \(expected)"
    case .hash(_, let found, let expected):
      return "checksum \(hexadecimal(found)), expected \(hexadecimal(expected)): "
        + "the bytes are damaged"
    case .broken(_, let text): return text
    case .otherBase(let found, let delta, let expected):
      let name = delta.escapedForDisplay()
      if found.rootHash == expected.rootHash {
        return "has the contents that \(name) is for, but stored in other bytes; "
          + "expected the file that the delta was made from"
      }
      return "has root hash \(hexadecimal(found.rootHash)), expected "
        + "\(hexadecimal(expected.rootHash)), which is what \(name) is for"
    case .alreadyApplied: return "is already what the delta makes; copy it"
    case .noMemory: return "no memory for zstd"
    }
  }
}
