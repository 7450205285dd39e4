import VLMFoundation
import VLMTensor

/// Why a checkpoint cannot be read, or a tensor file cannot be written.
package struct CheckpointError: ReportableError, Equatable {
  package enum Problem: Sendable, Equatable {
    case file(FileError)
    /// The file has another format.
    case otherKind(FileKind)
    case empty
    case headerTooSmall(bytes: Int)
    case headerLengthBeyondLimit(UInt64, limit: Int)
    case headerLengthBigEndian(UInt64)
    case headerTruncated(length: Int, available: Int)
    case headerNotObject(UInt8)
    case headerPaddedWithNul(offset: Int)
    case json(JSONError)
    case duplicateName
    case duplicateField(String)
    case duplicateMetadata(String)
    case metadataBeyondLimit(bytes: Int, limit: Int)
    case emptyName
    case nameTooLong(bytes: Int, limit: Int)
    case controlCharacterInName
    case missingField(String)
    /// A model configuration (`config.json`) was given where weights are expected.
    case description
    case wrongType(field: String, found: String, expected: String)
    case unknownDType(String)
    case rankBeyondLimit(limit: Int)
    case wrongOffsetCount
    case sizeOverflow([Int])
    case partialBytes(shape: [Int], bits: Int)
    case offsetsReversed(begin: Int, end: Int)
    case sizeMismatch(found: Int, expected: Int)
    /// Bytes before the tensor belong to no tensor.
    case gap(from: Int, to: Int)
    case overlap(begin: Int, after: Int)
    case dataTruncated(end: Int, available: Int)
    case trailingBytes(Int)
    /// No conversion to 32-bit floats is defined.
    case notNumeric(DType)
    case unsafeShardName(String)
    case symbolicLinkLeaves(folder: String, target: String)
    case tooManyShards(Int, limit: Int)
    case shardsDifferByCase(String, String)
    case notInShard(String)
    case inTwoShards(String, String)
    /// A folder holds several models; these are its weight files.
    case severalModels([String])
    /// A folder without an index lacks these shards.
    case missingShards([String])
    /// A folder has no weights; the payload lists its files of other formats.
    case noWeights([String])
    /// Nothing exists at the path. The payload is a download command if the path looks like a Hub
    /// model.
    case absent(download: String?)
    /// A dangling symbolic link, as an interrupted download leaves it.
    case brokenLink
    /// A file that marks an unfinished download.
    case unfinished(String)
    /// A folder has no weights itself, but its subfolders do; `ready` is the one to suggest.
    case innerFolders([String], ready: String)
    /// A store of ollama: files of its `blobs` that are models, and the path of one.
    case store([String], ready: String)
    /// The parts of a model that makes pictures, as diffusers lays them out.
    case pipeline
    /// A download cache has several revisions and no `refs/main`.
    case severalSnapshots([String])
    /// A checkpoint was given where a converted model is expected, which could be called `output`.
    case unconverted(output: String)
    /// A checkpoint where a picture is expected.
    case asPicture(output: String)
    /// The output path holds a checkpoint, which is never overwritten; the payload names its
    /// format.
    case asOutput(String)
    /// A tensor-parallel shard lacks the tensor.
    case notInPart(String)
    /// The tensor's slice in one shard does not match the others.
    case parallelPart(found: [Int], expected: String)
    /// The state that was chosen does not exist; `choices` lists the existing ones.
    case noSuchState(String, choices: [String])
    /// A user's file of names is malformed: what was found, and what was expected.
    case names(String, String)
    case pyTorch(PyTorchProblem)
    case gguf(GGUFProblem)
  }

  package let path: String
  /// The tensor or part of the file, unescaped; empty for the file as a whole.
  package let place: String
  package let problem: Problem

  package init(path: String, place: String = "", problem: Problem) {
    self.path = path
    self.place = place
    self.problem = problem
  }

  package init(_ error: FileError) { self.init(path: error.path, problem: .file(error)) }

  package var exitStatus: ExitStatus {
    switch problem {
    case .file(let error): error.exitStatus
    case .asOutput: .cannotCreate
    case .noWeights([]), .missingShards, .absent, .brokenLink: .noInput
    default: .badData
    }
  }

  /// Whether the file has a supported format but is damaged.
  package var isDamage: Bool {
    switch problem {
    case .headerTruncated, .gap, .overlap, .dataTruncated, .trailingBytes, .pyTorch(.zip),
      .pyTorch(.checksum), .pyTorch(.inflate):
      true
    default: false
    }
  }

  package func description(in words: Wording) -> String {
    if case .file(let error) = problem { return error.description(in: words) }
    let (file, text) = (path.escapedForDisplay(), text(words))
    return place.isEmpty ? "\(file): \(text)" : "\(file): \(place.escapedForDisplay()): \(text)"
  }
}

extension CheckpointError {
  private func text(_ words: Wording) -> String {
    switch problem {
    case .file(let error): return error.description(in: words)
    case .otherKind(let kind):
      return "this is " + kind.instead(of: Self.weightFile)
    case .empty:
      return "the file is empty, expected \(Self.weightFile); \(FileKind.fetchAgain)"
    case .headerTooSmall(let bytes):
      return "the header ends after \(counted(bytes, "byte")), expected at least 10" + Self.cutShort
    case .headerLengthBeyondLimit(let length, let limit):
      return
        "this is no \(Self.weightFile.dropFirst(2)): as a safetensors file it would have a header of "
        + "\(length) bytes, expected at most \(limit); download it again if it should be one, else "
        + FileKind.madeOfModel
    case .headerLengthBigEndian(let length):
      return "the header length is big-endian (\(length)), expected little-endian"
    case .headerTruncated(let length, let available):
      return
        "the header has \(length) bytes, but only \(available) follow in the file" + Self.cutShort
        + " (or it is no safetensors file)"
    case .headerNotObject(let byte):
      return "the header starts with byte 0x\(String(byte, radix: 16)), expected '{'"
    case .headerPaddedWithNul(let offset):
      return "the header is padded with NUL bytes from byte \(offset) on, expected spaces"
    case .json(let error): return error.description
    case .duplicateName: return "the name occurs twice"
    case .duplicateField(let field): return "the field '\(shown(field))' occurs twice"
    case .duplicateMetadata(let key): return "the key '\(shown(key))' occurs twice"
    case .metadataBeyondLimit(let bytes, let limit):
      return "the metadata has \(bytes) bytes or more, expected at most \(limit)"
    case .emptyName: return "a tensor has an empty name"
    case .nameTooLong(let bytes, let limit):
      return "a name has \(bytes) bytes, expected at most \(limit)"
    case .controlCharacterInName: return "the name holds a control character"
    case .missingField(let field): return "the field '\(field)' is missing"
    case .description:
      return
        "describes a model, expected its weights; name the folder that both lie in, or their file"
    case .wrongType(let field, let found, let expected):
      return "the field '\(shown(field))' is \(shown(found)), expected \(expected)"
    case .unknownDType(let dtype):
      return "unknown dtype '\(shown(dtype))', expected one of "
        + DType.allCases.map(\.rawValue).joined(separator: ", ")
    case .rankBeyondLimit(let limit): return "the shape has more than \(limit) extents"
    case .wrongOffsetCount: return "the field 'data_offsets' has other than two elements"
    case .sizeOverflow(let shape): return "the shape \(shape) is too large to count its bytes"
    case .partialBytes(let shape, let bits):
      return "the shape \(shape) of \(bits)-bit elements does not fill whole bytes"
    case .offsetsReversed(let begin, let end):
      return "the data ends at \(end), before it begins at \(begin)"
    case .sizeMismatch(let found, let expected):
      return "the data offsets span \(found) bytes, the shape and dtype need \(expected)"
    case .gap(let from, let to):
      return "the bytes \(from) to \(to) before the tensor belong to none"
    case .overlap(let begin, let after):
      return "the data begins at \(begin), inside another tensor's that ends at \(after)"
    case .dataTruncated(let end, let available):
      return
        "the data ends at \(end), but the file has only \(available) bytes of data"
        + Self.cutShort
    case .trailingBytes(let count):
      return counted(count, "byte follows", "bytes follow") + " the last tensor's data"
    case .notNumeric(let dtype):
      return "\(dtype.rawValue) elements cannot be converted to 32-bit floats"
    case .unsafeShardName(let name):
      return
        "the shard '\(shown(name))' is no plain name of a checkpoint file in the index's folder"
    case .symbolicLinkLeaves(let folder, let target):
      return "is a symbolic link to '\(shown(target))', outside '\(shown(folder))'"
    case .tooManyShards(let count, let limit): return "\(count) shards, expected at most \(limit)"
    case .shardsDifferByCase(let a, let b):
      return "the shards '\(shown(a))' and '\(shown(b))' differ only by case"
    case .notInShard(let shard):
      return "is not in the shard '\(shown(shard))' that the index names; download both again"
    case .inTwoShards(let a, let b): return "is in two shards, '\(shown(a))' and '\(shown(b))'"
    case .severalModels(let names):
      let start = "the folder has \(names.count) models or parts without an index, "
      let next =
        names.contains { $0.contains("mp_rank_") }
        ? "DeepSpeed's parts are put together by its zero_to_fp32.py"
        : "name the file that is meant"
      return start + quoted(names, limit: 4) + (names.count > 4 ? " …" : "") + ", expected one; "
        + next
    case .missingShards(let names):
      let more = names.count > 4 ? " and \(names.count - 4) more parts" : ""
      return "the folder lacks " + quoted(names, limit: 4) + more
        + " of its model; download what is missing"
    case .noWeights(let others):
      var found = others.isEmpty ? "" : ", found " + quoted(others, limit: 4)
      if others.count > 4 { found += " …" }
      return "the folder has no weights" + found + ", expected safetensors, PyTorch or GGUF files"
        + (others.isEmpty
          ? "; download the model's into it, as hf download OWNER/NAME --local-dir FOLDER does"
          : Self.nextStep(others) ?? "")
    case .absent(let download):
      return "no such file or folder"
        + (download.map { "; if it is on the internet, download it first: \($0)" } ?? "")
    case .brokenLink: return "is a link to a file that is not there; download it again"
    case .unfinished(let name):
      return
        "'\(shown(name))' is a download that has not ended; let it end, or download the model again"
    case .innerFolders(let names, let ready):
      let shown = quoted(names, limit: 4) + (names.count > 4 ? " …" : "")
      return "the folder has no weights of its own, its folders \(shown) have; name one of them: "
        + ready.quotedForShell
    case .store(let names, let ready):
      return
        "is a store of ollama, whose models are the files " + quoted(names, limit: 4)
        + (names.count > 4 ? " …" : "") + "; name one of them: " + ready.quotedForShell
    case .severalSnapshots(let names):
      return
        "the download cache has \(names.count) snapshots and no refs/main, expected one; name one of "
        + quoted(names, limit: 8)
    case .pipeline:
      return
        "is a pipeline of diffusers (model_index.json), which makes pictures; expected a model that "
        + "classifies or embeds them, or talks about them"
    case .unconverted(let output):
      return "is a checkpoint, expected a .vlmz file" + words.end(.convert(path, to: output))
    case .asPicture(let output):
      return "is a checkpoint, expected a picture, or a .safetensors file with pixel_values"
        + words.end(.convert(path, to: output)) + ", and give that as the model"
    case .asOutput(let kind):
      return "is a \(kind), expected a .vlmz file to write: are the arguments the wrong way round?"
    case .notInPart(let name): return "is not in '\(shown(name))', as in the other parts"
    case .parallelPart(let found, let expected):
      return "a part has the shape \(found), expected \(expected)"
    case .noSuchState(let name, let choices):
      let start = "no tensor's name begins with '\(shown(name)).'"
      guard !choices.isEmpty else { return start + ": the file holds one state" }
      return start + ", expected one of " + quoted(choices, limit: 20)
    case .names(let found, let expected):
      return "names of classes: found \(found), expected \(expected)"
    case .pyTorch(let problem): return problem.text(words)
    case .gguf(let problem): return problem.text(words)
    }
  }

  /// What is said of the end of a file that has no more bytes where some have to follow.
  static let cutShort = ": it is cut short, download it again"
  private static let weightFile = "a .vlmz, safetensors, PyTorch or GGUF file"

  /// The first of some names, for a message.
  private func quoted(_ names: [String], limit: Int) -> String {
    names.prefix(limit).map { "'\(shown($0))'" }.joined(separator: ", ")
  }

  /// How weights are had from files that are none that are read.
  private static func nextStep(_ names: [String]) -> String? {
    func has(_ endings: [String]) -> Bool {
      names.contains { name in
        let lower = name.lowercased()
        return endings.contains { lower.hasSuffix($0) }
      }
    }
    if has([".distcp"]) {
      return "; python -m torch.distributed.checkpoint.format_utils dcp_to_torch makes one"
    }
    if has([".zip", ".tar", ".gz", ".rar", ".7z", ".xz", ".bz2", ".zst"]) {
      return "; unpack the archive first"
    }
    if has([".msgpack", ".h5"]) {
      return "; from_pretrained of transformers 4 with from_flax=True or from_tf=True, then "
        + "save_pretrained, makes one"
    }
    if has(OtherWeights.madeOfModel) {
      return "; such a file is made of a model's weights: " + FileKind.madeOfModel
    }
    return nil
  }

  private func shown(_ text: String) -> String { text.escapedForDisplay(limit: 80) }
}

extension MappedFile {
  /// A file of a checkpoint.
  static func ofCheckpoint(path: String) throws(CheckpointError) -> MappedFile {
    do throws(FileError) { return try MappedFile(path: path) } catch {
      throw CheckpointError(error)
    }
  }
}
