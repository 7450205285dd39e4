import VLMCheckpoint
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText

#if canImport(Glibc)
  import Glibc
#endif

enum CheckpointTargets {
  /// Elements that are read of each tensor: the reader has promised that all are there.
  private static let elements = 64

  static func safetensors(_ bytes: UnsafeRawBufferPointer) {
    let file = MappedFile(name: "fuzzed.safetensors", copying: bytes)
    do throws(CheckpointError) {
      read(try SafetensorsFile.read(file), of: file)
    } catch {
      report(error)
    }
  }

  /// Zip archives and streams of pickles, storages with wrong checksums included: a mutated file
  /// would otherwise get no further.
  static func pyTorch(_ bytes: UnsafeRawBufferPointer) {
    let file = MappedFile(name: "fuzzed.pth", copying: bytes)
    guard PyTorchFile.matches(file) else { return }
    for state in [StateSelection.automatic, .everything] {
      let options = PyTorchFile.Options(state: state, verifiesChecksums: false)
      do throws(CheckpointError) {
        read(try PyTorchFile.read(file, options: options), of: file)
      } catch {
        report(error)
      }
    }
  }

  /// A file that is not split, its metadata shown.
  static func gguf(_ bytes: UnsafeRawBufferPointer) {
    let file = MappedFile(name: "fuzzed.gguf", copying: bytes)
    guard GGUFFile.matches(file) else { return }
    do throws(CheckpointError) {
      let gguf = try GGUFFile(file)
      for entry in gguf.metadata.entries {
        precondition(gguf.metadata[entry.key] != nil, "an entry is found by its key")
        precondition(entry.value.text.utf8.count <= 64 * bytes.count + 1024, "shown in few words")
      }
      read(gguf.catalog, of: file)
      describe(gguf)
    } catch {
      report(error)
    }
  }

  /// The model that the metadata describe, and their tokenizer.
  private static func describe(_ gguf: GGUFFile) {
    ModelTargets.attempt {
      let description = try gguf.catalog.ggufDescription(factors: LLaMAConfig.ggufFactors)
      let names = gguf.catalog.tensors.map { (name: $0.name, shape: $0.shape) }
      try ModelTargets.recognise(CheckpointFacts(names: names, description: description))
      guard gguf.metadata.isVision else { return }
      try ModelTargets.recognise(
        CheckpointFacts(names: names, towerDescription: gguf.metadata.description))
    }
    ModelTargets.attempt {
      var notes: [Note] = []
      let tokenizer = try Tokenizer(
        ggufMetadata: { gguf.metadata[$0]?.wholeJSON }, file: "f", notes: &notes)
      TokenizerTargets.exercise(tokenizer)
    }
  }

  /// The index of a folder with two small files of weights.
  static func index(_ bytes: UnsafeRawBufferPointer) {
    guard let folder = IndexFolder.shared, folder.write(index: bytes) else { return }
    do throws(CheckpointError) {
      let catalog = try ShardIndex.read(path: folder.indexPath)
      for tensor in catalog.tensors { touch(tensor) }
    } catch {
      report(error)
    }
  }

  private static func read(_ catalog: TensorCatalog, of file: MappedFile) {
    for tensor in catalog.tensors {
      precondition(catalog[tensor.name] != nil, "a tensor is found by its name")
      touch(tensor)
    }
  }

  /// Reads the first and the last elements, the way the converter does.
  private static func touch(_ tensor: CheckpointTensor) {
    let count = tensor.elementCount
    guard count > 0, tensor.dtype.bitCount >= 8 else { return }
    let last = max(0, count - elements)
    for range in [0..<min(count, elements), last..<count] {
      // Elements in blocks have no bytes of their own.
      if tensor.blocks == nil {
        let sum = tensor.withBytes(ofElements: range) { $0.reduce(0) { $0 &+ Int($1) } }
        precondition(sum >= 0, "bytes are not negative")
      }
      var values = [Float](repeating: 0, count: range.count)
      values.withUnsafeMutableBufferPointer { buffer in
        do throws(CheckpointError) {
          try tensor.readFloats(range, into: buffer)
        } catch {
          report(error)
        }
      }
    }
  }
}

/// A temporary folder with an index that is written anew for every input, and two files for it.
private final class IndexFolder: Sendable {
  static let shared = IndexFolder()

  let path: String
  var indexPath: String { path + "/model.safetensors.index.json" }

  private init?() {
    let parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(parent)/vlmz-fuzz-XXXXXX".utf8CString)
    guard
      let made = template.withUnsafeMutableBufferPointer({ name in
        name.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
      })
    else {
      return nil
    }
    path = made
    for name in ["a", "b"] {
      let tensors = [
        SafetensorsWriter.Entry(name: "\(name).weight", shape: [2, 2], floats: [1, 2, 3, 4])
      ]
      do throws(CheckpointError) {
        try SafetensorsWriter.write(
          path: "\(path)/\(name).safetensors", overwrite: true, tensors: tensors)
      } catch {
        return nil
      }
    }
    atexit {
      guard let folder = IndexFolder.shared else { return }
      for name in ["a.safetensors", "b.safetensors", "model.safetensors.index.json"] {
        unlink(folder.path + "/" + name)
      }
      rmdir(folder.path)
    }
  }

  func write(index: UnsafeRawBufferPointer) -> Bool {
    let file = open(indexPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard file >= 0 else { return false }
    defer { close(file) }
    return index.isEmpty || Glibc.write(file, index.baseAddress, index.count) == index.count
  }
}
