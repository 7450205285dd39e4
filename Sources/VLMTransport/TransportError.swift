import VLMContainer
import VLMFoundation

/// Why a packed file could not be read or written: where in it, and which rule of
/// `formats/vlmzp.md` it breaks.
package struct TransportError: ReportableError, Equatable {
  package enum Place: Sendable, Equatable {
    case file
    case header
    /// Number of the frame, from 0, and where its header begins in the packed file.
    case frame(Int, at: Int)
    case end(at: Int)
  }

  package enum Problem: Sendable, Equatable {
    case file(FileError)
    /// A container that cannot be packed.
    case source(ContainerError)
    /// A file of another well-known format [P02].
    case foreign(FileKind)
    /// `Read_Version` [P03].
    case version(found: Int)
    case value(PackedRule, field: String, found: String, expected: String)
    case hash(PackedRule, found: UInt64, expected: UInt64)
    /// A broken rule, described by one sentence.
    case broken(PackedRule, String)
    /// What was unpacked is no sound container [P24].
    case container(ContainerError)
    /// The unfinished output is of another packed file, with these root hashes.
    case otherTransfer(found: [UInt8], expected: [UInt8])
    /// The input begins in the middle, and there is nothing to go on from.
    case nothingToContinue
    /// A container that is larger than the cache may be.
    case exceedsCache(bytes: Int, limit: Int)
    /// There is no folder to unpack into.
    case noCache
    /// The folder to unpack into cannot be used.
    case cache(FileError)
    /// The folder to unpack into is another user's.
    case foreignCache(folder: String)
    /// Others may write to the folder to unpack into.
    case writableCache(folder: String)
    /// The file has no signature, since what it unpacks to is what is signed.
    case signedUnpacked
    /// What was asked is told by tensors and sections, which only the unpacked file shows.
    case tensorsPacked
  }

  package let path: String
  package let place: Place
  package let problem: Problem
  /// Byte of the packed file from which an interrupted transfer continues; nil where nothing is kept.
  package var resumesAt: Int?

  package init(path: String, place: Place, problem: Problem, resumesAt: Int? = nil) {
    self.path = path
    self.place = place
    self.problem = problem
    self.resumesAt = resumesAt
  }

  init(_ error: FileError) {
    self.init(path: error.path, place: .file, problem: .file(error))
  }

  /// The rule that is broken; nil for what is no fault of a packed file.
  package var rule: PackedRule? {
    switch problem {
    case .file, .source, .otherTransfer, .nothingToContinue, .exceedsCache, .noCache, .cache,
      .foreignCache, .writableCache, .signedUnpacked, .tensorsPacked:
      nil
    case .foreign: .p02
    case .version: .p03
    case .container: .p24
    case .value(let rule, _, _, _), .hash(let rule, _, _), .broken(let rule, _): rule
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .cache(let error) where error.isOfFolder: .cannotCreate
    case .file(let error), .cache(let error): error.exitStatus
    case .source(let error): error.exitStatus
    case .exceedsCache, .noCache: .cannotCreate
    case .foreignCache, .writableCache: .noPermission
    default: .badData
    }
  }

  package func description(in words: Wording) -> String {
    let next = words.end(remedy)
    switch problem {
    case .file(let error): return error.description(in: words) + next
    case .source(let error): return error.description(in: words)
    default: break
    }
    let id = rule.map { " [\($0.rawValue)]" } ?? ""
    return "\(path.escapedForDisplay()): \(placeText)\(problemText(words))\(next)\(id)"
  }

  private var remedy: Remedy? {
    switch problem {
    case .exceedsCache, .noCache, .cache, .foreignCache, .signedUnpacked, .tensorsPacked:
      .unpack(path)
    case .otherTransfer: .startTransferAgain
    case .nothingToContinue: .transferFromStart
    case .container: .transferFromStart
    default: resumesAt.map { .continueTransfer(from: $0) }
    }
  }

  private var placeText: String {
    switch place {
    case .file: ""
    case .header: "header: "
    case .frame(let index, let offset): "frame \(index) at byte \(offset): "
    case .end(let offset): "end at byte \(offset): "
    }
  }

  private func problemText(_ words: Wording) -> String {
    switch problem {
    case .file(let error): error.description(in: words)
    case .source(let error): error.description(in: words)
    case .foreign(let kind): "is \(kind.instead(of: "a packed .vlmzp"))"
    case .version(let found):
      "format version \(found), this build reads up to \(PackedFormat.version); update vlm-convert"
    case .value(_, let field, let found, let expected):
      "\(field) \(found), expected \(expected)"
    case .hash(_, let found, let expected):
      "checksum \(hexadecimal(found)), expected \(hexadecimal(expected)): the bytes are damaged"
    case .broken(_, let text): text
    case .container(let error): "what it unpacks to is refused: \(error.description(in: words))"
    case .otherTransfer(let found, let expected):
      "is of root hash \(hexadecimal(found)), expected \(hexadecimal(expected)), of which the "
        + "unfinished output is"
    case .nothingToContinue:
      "begins in the middle of a packed file, and no unfinished output is there to continue"
    case .exceedsCache(let bytes, let limit):
      "unpacks to \(byteText(bytes)), expected at most \(byteText(limit)), the limit of the cache"
    case .noCache: "is packed, and there is no folder to unpack it into"
    case .cache(let error):
      "is packed, and cannot be unpacked into the cache: \(error.description(in: words))"
    case .foreignCache(let folder):
      "is packed, and the cache '\(folder.escapedForDisplay())' is another user's, expected a "
        + "folder of one's own"
    case .writableCache(let folder):
      "is packed, and others may write to the cache '\(folder.escapedForDisplay())'; keep them "
        + "out: chmod go-w \(folder.quotedForShell)"
    case .signedUnpacked: "is packed, and what is signed is the file that it unpacks to"
    case .tensorsPacked: "is packed, and its tensors and sections show when it is unpacked"
    }
  }
}

extension FileError {
  /// Whether a folder could not be made.
  fileprivate var isOfFolder: Bool {
    if case .call("mkdir", _) = problem { true } else { false }
  }
}
