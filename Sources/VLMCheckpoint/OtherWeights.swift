import VLMFoundation

#if canImport(Glibc)
  import Glibc
#endif

/// Weights in forms that are not read and begin with numbers, so that only their names and what
/// lies beside them tell what they are.
enum OtherWeights {
  /// Extensions of files that hold a model in a form of their own.
  static let madeOfModel =
    kinds.filter { $0.step == FileKind.madeOfModel }.flatMap(\.endings)
    + [".xml", ".mlpackage", ".mlmodelc", ".pt2"]

  /// Extensions of all that this knows.
  static let endings = kinds.flatMap(\.endings) + [".xml", ".mlpackage", ".mlmodelc", ".pt2"]

  /// Names by extension, where the content is not told apart from numbers.
  private static let kinds: [(endings: [String], name: String, step: String)] = [
    ([".engine", ".trt", ".plan"], "a TensorRT engine", FileKind.madeOfModel),
    ([".onnx"], "an ONNX model", FileKind.madeOfModel),
    ([".onnx_data", ".onnx.data"], "the tensors of an ONNX model", FileKind.madeOfModel),
    ([".mlmodel"], "a Core ML model", FileKind.madeOfModel),
    ([".tflite"], "a TensorFlow Lite model", FileKind.madeOfModel),
    ([".pb"], "a TensorFlow graph", FileKind.madeOfModel),
    ([".pte"], "an ExecuTorch program", FileKind.madeOfModel),
    ([".litertlm", ".task"], "a LiteRT model", FileKind.madeOfModel),
    ([".mnn"], "an MNN model", FileKind.madeOfModel),
    ([".rknn"], "an RKNN model", FileKind.madeOfModel),
    ([".om"], "an Ascend model", FileKind.madeOfModel),
    ([".param"], "an ncnn model", FileKind.madeOfModel),
    ([".h5", ".hdf5", ".keras"], "a Keras or TensorFlow checkpoint", FileKind.loadAndSave),
    ([".pdparams"], "a PaddlePaddle checkpoint", FileKind.loadAndSave),
    ([".params"], "an MXNet checkpoint", FileKind.loadAndSave),
    ([".msgpack"], "a Flax checkpoint", FileKind.loadAndSave),
  ]

  /// What a file is whose content is none that is known; nil where its name says nothing either.
  static func kind(of path: String) -> FileKind? {
    let (folder, name) = path.splitAtLastSlash
    if let owner = owner(of: name, folder: folder) {
      return FileKind("the weights of \(owner)", step: FileKind.madeOfModel)
    }
    let lower = name.lowercased()
    guard let found = kinds.first(where: { $0.endings.contains { lower.hasSuffix($0) } }) else {
      return nil
    }
    return FileKind(found.name + ", by its name", step: found.step)
  }

  /// The model whose weights `name` has, where another file of the folder says so.
  private static func owner(of name: String, folder: String) -> String? {
    guard name.lowercased().hasSuffix(".bin"), isUnmarked(folder + name) else { return nil }
    let stem = folder + name.dropLast(4)
    if isOpenVINO(stem + ".xml") { return "an OpenVINO model" }
    if FileSystem.kind(stem + ".param") != nil { return "an ncnn model" }
    let place = folder.split(separator: "/").last.map(String.init) ?? ""
    let isCoreML =
      name == "coremldata.bin"
      || place == "weights"
        && ["coremldata.bin", "model.mil", "model.mlmodel"].contains {
          FileSystem.kind(folder + "../" + $0) != nil
        }
    return isCoreML ? "a Core ML model" : nil
  }

  /// Whether a file begins with numbers, and is no checkpoint in spite of its neighbours.
  private static func isUnmarked(_ path: String) -> Bool {
    guard FileSystem.kind(path) == S_IFREG, let file = try? MappedFile(path: path, isInput: false)
    else { return false }
    let isSafetensors = file.count > 8 && file.withBytes(8..<9) { $0[0] == UInt8(ascii: "{") }
    return !isSafetensors && FileKind.sniff(file) == nil
  }

  private static func isOpenVINO(_ path: String) -> Bool {
    guard FileSystem.kind(path) == S_IFREG, let file = try? MappedFile(path: path, isInput: false)
    else { return false }
    let kind = FileKind.sniff(file)?.name
    return kind == "an OpenVINO model" || kind == "an XML text"
  }

  /// Whether a file of a folder holds weights of a model in another form.
  static func isPart(_ name: String, of folder: String) -> Bool {
    owner(of: name, folder: folder) != nil
  }

  /// What a folder as a whole is, where it is a model in another form.
  ///
  /// - Parameter folder: with a trailing slash.
  static func kind(ofFolder folder: String, _ names: [String]) -> FileKind? {
    let name: String
    if names.contains("Manifest.json"), FileSystem.kind(folder + "Data") == S_IFDIR {
      name = "a Core ML package"
    } else if names.contains("coremldata.bin") || names.contains("model.mil") {
      name = "a compiled Core ML model"
    } else if names.contains("saved_model.pb") {
      name = "a SavedModel of TensorFlow"
    } else if names.contains("weights"), names.contains("model.mlmodel") {
      name = "the inside of a Core ML package"
    } else {
      return nil
    }
    return FileKind(name, step: FileKind.madeOfModel)
  }
}
