import VLMCommandLine
import VLMContainer
import VLMFoundation
import VLMImages
import VLMModels
import VLMTensor
import VLMText
import VLMZ

/// What `--dry-run` says would run.
struct Plan {
  private var object = JSONObject()
  private var lines: [String] = []

  init(_ container: Container, _ kernels: KernelSet, _ pool: WorkerPool) {
    let parameters = container.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    let architecture = (try? container.commonName(of: container.modelDescription())) ?? "unknown"
    object.set("schema", 1)
    object.set("model", .string(architecture))
    object.set("parameters", .int(parameters))
    lines.append("model: \(architecture), \(parameters) parameters")
    add("file_bytes", .int(container.file.count), byteText(container.file.count), title: "file")
    object.set("kernels", .string(kernels.name))
    object.set("threads", .int(pool.threadCount))
    lines.append("kernels: \(kernels.name), threads: \(pool.threadCount)")
  }

  /// - Parameter title: what the line begins with, if not the key.
  mutating func add(_ key: String, _ value: JSONValue, _ text: String, title: String? = nil) {
    object.set(key, value)
    lines.append("\(title ?? key): \(text)")
  }

  /// What memory is for weights that do not all have room; null where they have.
  mutating func add(_ reading: WeightReading?) {
    guard let reading else { return object.set("memory_bytes", .null) }
    add("memory_bytes", .int(reading.limit), byteText(reading.limit), title: "memory")
  }

  /// Prints it, with the sizes of the pictures' inputs; what fails of them is in the records.
  func show(
    _ source: PictureSource, _ records: Records,
    load: (PictureInput) throws -> (width: Int, height: Int)
  ) throws {
    let list = begin(records)
    while let picture = try source.next() { try list.add(picture) { try load(picture) } }
    try end(list)
  }

  /// The same with some frames of a film, by their numbers from 0.
  func show(
    _ film: Film, _ frames: [Int], _ records: Records,
    load: (PictureInput, VLMImages.Image?) throws -> (width: Int, height: Int)
  ) throws {
    let list = begin(records)
    try film.forEach(frames) { picture, image in
      try list.add(picture) { try load(picture, image) }
    }
    try end(list)
  }

  private func begin(_ records: Records) -> List {
    if records.format == .text { lines.forEach { Report.line($0) } }
    return List(
      format: records.format, pictures: Records(records.format == .text ? .text : .json))
  }

  private func end(_ list: List) throws {
    var whole = object
    whole.set("images", .array(list.pictures.objects))
    switch list.format {
    case .text: break
    case .json: Report.line(JSONValue.object(whole).serialized(pretty: true))
    case .jsonLines: Report.line(JSONValue.object(whole).serialized())
    }
    try list.pictures.end()
  }

  /// The pictures so far.
  private struct List {
    let format: Records.Format
    let pictures: Records

    func add(
      _ picture: PictureInput, load: () throws -> (width: Int, height: Int)
    ) throws {
      do {
        let size = try load()
        var object = picture.members
        object.set("width", .int(size.width))
        object.set("height", .int(size.height))
        pictures.add(.object(object))
        if format == .text {
          Report.line("\(picture.title): input \(size.width)×\(size.height)")
        }
      } catch let error as any ReportableError {
        pictures.fail(error, members: picture.members)
      }
    }
  }
}
