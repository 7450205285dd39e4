#if canImport(Glibc)
  import Glibc
#endif

/// Something that went wrong with a file as a file: it could not be opened, read, mapped, written.
package struct FileError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    /// A system call failed with this `errno`.
    case call(String, errno: Int32)
    /// The path names a directory, pipe, socket or device.
    case notRegular(String)
    /// The same of an output's path.
    case notReplaceable(String)
    case exists
    /// The output is the file that this standard stream goes to.
    case standardStream(String)
    /// The output names the same file as an input.
    case sameFile(as: String)
    /// The file's size or modification time changed while it was in use.
    case changed
    /// Another process is writing the file.
    case busy
    /// A file that is no unfinished output of ours is where one would be written.
    case notOurs
  }

  package let path: String
  package let problem: Problem

  package init(path: String, problem: Problem) {
    self.path = path
    self.problem = problem
  }

  package func description(in words: Wording) -> String {
    let name = path.isEmpty ? "an empty name" : path.escapedForDisplay()
    switch problem {
    case .call(let call, let code):
      let text = "\(name): \(call) failed: \(String(cString: strerror(code)))"
      let folder = path.splitAtLastSlash.folder
      if call == "create", code == ENOENT, !folder.isEmpty, !FileSystem.isFolder(folder) {
        let shown = String(folder.dropLast()).escapedForDisplay()
        return text + ": the folder '\(shown)' is not there"
      }
      guard code == ENOENT, path.contains("://") else { return text }
      return text + "; download it first: curl -LO \(path.quotedForShell)"
    case .notRegular(let kind):
      return "\(name): is a \(kind), expected a regular file"
    case .notReplaceable(let kind):
      return "\(name): is a \(kind), expected a regular file or none"
    case .exists:
      return "\(name): already exists" + words.end(.overwrite)
    case .standardStream(let stream):
      return "\(name): is the file that \(stream) goes to, expected another"
    case .sameFile(let other):
      return "\(name): is the same file as the input '\(other.escapedForDisplay())'"
    case .changed:
      return "\(name): changed while it was being read"
    case .busy:
      return "\(name): another process is writing it"
    case .notOurs:
      return "\(name): is no unfinished output, and stands where one would be written"
    }
  }

  package var exitStatus: ExitStatus {
    switch problem {
    case .call(let call, let code):
      switch code {
      case ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG: call == "create" ? .cannotCreate : .noInput
      case EACCES, EPERM: .noPermission
      // EAGAIN: of a thread that cannot be had.
      case ENOMEM, EAGAIN, EMFILE, ENFILE: .osError
      case EISDIR, EROFS: call == "create" ? .cannotCreate : .noInput
      default: .ioError
      }
    case .notRegular: .noInput
    case .exists, .sameFile, .standardStream, .notOurs, .notReplaceable: .cannotCreate
    case .changed: .ioError
    case .busy: .temporaryFailure
    }
  }
}
