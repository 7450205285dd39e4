import VLMContainer
import VLMFoundation
import VLMModels
import VLMTensor

/// The schemes of a mixture, read from a report or a plan in JSON, or from a container that has it.
package struct PlanFile: Sendable {
  /// Schemes by the names of tensors.
  package let schemes: [String: Scheme]
  /// Shapes, where the file states them.
  private let shapes: [String: [Int]]
  /// The architecture, where the file states it.
  private let architecture: String?
  private let path: String

  /// Nobody's report is larger.
  private static let maximumByteCount = 64 << 20

  /// - Throws: `FileError`, `ContainerError`, `ConversionError` for a file that cannot be read, or
  ///   is no plan.
  package init(path: String) throws {
    self.path = path
    let file = try MappedFile(path: path)
    if try ModelFileKind.of(path) == .container {
      let container = try Container.open(path: path)
      var schemes: [String: Scheme] = [:]
      var shapes: [String: [Int]] = [:]
      for tensor in container.tensors {
        schemes[tensor.name] = tensor.format.scheme
        shapes[tensor.name] = tensor.shape
      }
      (self.schemes, self.shapes) = (schemes, shapes)
      let config = try container.section(.config).flatMap { try? JSONValue.parse($0) }
      architecture = config?["architecture"]?.stringValue
      return
    }
    func refuse(_ found: String, _ expected: String) -> ConversionError {
      ConversionError(path: path, .plan(found: found, expected: expected))
    }
    guard file.count <= Self.maximumByteCount else {
      throw refuse("\(file.count) bytes", "at most \(Self.maximumByteCount)")
    }
    let json: JSONValue
    do {
      json = try JSONValue.parse(file.withBytes(0..<file.count) { Array($0) }, limits: .file)
    } catch {
      throw refuse("neither JSON nor a .vlmz", "a report, a plan or a container")
    }
    guard let list = json["tensors"]?.arrayValue else {
      throw refuse("no list 'tensors'", "one of objects with 'name' and 'scheme'")
    }
    var schemes: [String: Scheme] = [:]
    var shapes: [String: [Int]] = [:]
    for (index, tensor) in list.enumerated() {
      guard let name = tensor["name"]?.stringValue, let text = tensor["scheme"]?.stringValue else {
        throw refuse("entry \(index) of 'tensors' without name or scheme", "both")
      }
      guard let scheme = Scheme(name: text) else {
        throw refuse(
          "scheme '\(text.escapedForDisplay(limit: 60))' of tensor '\(name.escapedForDisplay(limit: 120))'",
          "one of " + Scheme.allCases.map(\.name).joined(separator: ", "))
      }
      guard schemes.updateValue(scheme, forKey: name) == nil else {
        throw refuse("tensor '\(name.escapedForDisplay(limit: 120))' twice", "each once")
      }
      if let shape = tensor["shape"]?.arrayValue { shapes[name] = shape.compactMap(\.intValue) }
    }
    (self.schemes, self.shapes) = (schemes, shapes)
    architecture = json["architecture"]?.stringValue
  }

  /// The plan of a conversion with the schemes of this file; tensors that it does not name are f32,
  /// as a report leaves them out.
  ///
  /// - Parameter conversion: patterns decide before the file.
  /// - Throws: `ConversionError` for a plan of another model.
  package func applied(to conversion: Conversion) throws(ConversionError) -> Conversion {
    func refuse(_ found: String, _ expected: String) -> ConversionError {
      ConversionError(path: path, .plan(found: found, expected: expected))
    }
    let own = conversion.source.description.architecture
    if let architecture, architecture != own {
      throw refuse("a plan for '\(architecture.escapedForDisplay(limit: 60))'", "one for '\(own)'")
    }
    let plan = conversion.plan
    var known: [String: ConversionPlan.Item] = [:]
    for item in plan.items { known[item.spec.path] = item }
    for name in schemes.keys.sorted() {
      let shown = "tensor '\(name.escapedForDisplay(limit: 120))'"
      guard let item = known[name] else {
        throw refuse("\(shown), which the model does not have", "a plan of this model")
      }
      if let shape = shapes[name], shape != item.spec.shape {
        throw refuse("\(shown) of shape \(shape)", "\(item.spec.shape): it is of another model")
      }
      guard let scheme = schemes[name], item.spec.role.isQuantizable || scheme.isExact else {
        throw refuse("\(shown) as \(schemes[name]?.name ?? "")", "f32, as it always is")
      }
    }
    var chosen: [String: Scheme] = [:]
    for index in plan.items.indices where conversion.isFree(index) {
      let name = plan.items[index].spec.path
      chosen[name] = schemes[name] ?? .f32
    }
    guard !schemes.isEmpty else {
      throw refuse("no tensors", "some")
    }
    var planned = conversion
    planned.label = "mixed"
    planned.plan = plan.with(chosen)
    return planned
  }
}
