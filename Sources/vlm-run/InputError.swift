import VLMFoundation

/// Why what was named gives no picture or no answer about one, or cannot be written.
struct InputError: ReportableError, Equatable {
  enum Problem: Sendable, Equatable {
    case folder
    /// One that was looked through, and the files in it that are no pictures.
    case noPictures(others: Int)
    /// `-` where it is a file's name.
    case dash
    case nameTooLong(limit: Int)
    /// A name in a list of lines that is several, with zero bytes behind them.
    case zeroByte
    /// On standard input, behind a picture or several.
    case otherBytes(pictures: Int)
    /// Where one is wanted, and what does with all of them.
    case several(advice: String?)
    case lineTooLong(limit: Int)
    /// One of more frames, or of more bytes on standard input.
    case longFilm(frames: Int, bytes: Int)
    /// A film of its own among the frames of another.
    case filmAmongFrames(frames: Int)
    /// A file of several pictures of which the first alone is read, where a film is asked about.
    case unreadFilm(String)
    /// A file that was there, where the names of embeddings go.
    case notNames
    /// A question about a picture that could not be shown, and why.
    case notAsked(String, ExitStatus)
  }

  let name: String
  let problem: Problem

  init(_ name: String, _ problem: Problem) {
    self.name = name
    self.problem = problem
  }

  func description(in words: Wording) -> String {
    if case .notAsked(let reason, _) = problem { return "not asked: \(reason)" }
    return "\(name.escapedForDisplay()): \(text)"
  }

  private var text: String {
    switch problem {
    case .folder:
      return "is a directory, expected a regular file; --recursive takes the pictures in it"
    case .noPictures(let others):
      return "found no pictures in the directory"
        + (others == 0 ? "" : ", " + counted(others, "other file"))
        + ", expected names that end in .png, .jpg … or files that begin as such"
    case .dash: return "found in a list of names, which has no standard input; ./- is a file"
    case .nameTooLong(let limit):
      return "found a name of more than \(limit) bytes; is it a list of names, a line each? With a "
        + "zero byte behind each it is read with -0"
    case .zeroByte:
      return "found a zero byte in a name; a list with one behind each name is read with -0"
    case .otherBytes(let pictures):
      return "found other bytes behind \(counted(pictures, "picture")), "
        + "expected the next picture or the end"
    case .several(let advice):
      return "found more than one picture, expected one" + (advice.map { "; " + $0 } ?? "")
    case .lineTooLong(let limit):
      return "found a line of more than \(limit >> 20) MiB, which is left out"
    case .longFilm(let frames, let bytes):
      return
        "found a film of more than \(frames) frames or \(bytes >> 20) MiB; fewer frames a second "
        + "make it shorter"
    case .filmAmongFrames(let frames):
      return "is a film of \(frames) frames among other pictures, expected it alone"
    case .unreadFilm(let kind):
      return
        "is \(kind), whose first picture alone is read, expected a GIF, a folder of frames or a "
        + "stream of pictures on standard input"
    case .notNames:
      return
        "is where the names of the rows go and has something else, which is kept; give --embed "
        + "another name"
    case .notAsked(let reason, _): return reason
    }
  }

  var exitStatus: ExitStatus {
    switch problem {
    case .folder, .noPictures: .noInput
    case .otherBytes, .lineTooLong, .longFilm, .unreadFilm: .badData
    case .dash, .nameTooLong, .zeroByte, .several, .filmAmongFrames: .usage
    case .notNames: .cannotCreate
    case .notAsked(_, let status): status
    }
  }
}
