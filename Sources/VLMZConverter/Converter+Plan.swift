import VLMConversion
import VLMFoundation

extension Converter {
  /// What a conversion would write.
  public struct Plan: Sendable, Equatable {
    /// One tensor of the container.
    public struct Tensor: Sendable, Equatable {
      /// The container's own name.
      public let name: String
      /// Extents, outermost first.
      public let shape: [Int]
      /// How it will be stored.
      public let scheme: WeightScheme
      /// Bytes that it will take.
      public let byteCount: Int
      /// Why it is stored in another scheme than the one asked for; nil where it is not.
      public let reason: String?
    }

    /// The name of the architecture: "convnext", "clip_vit", "llava" …
    public let architecture: String
    /// Whose names the checkpoint's tensors have: "timm", "transformers" …
    public let naming: String
    /// All tensors, by name.
    public let tensors: [Tensor]
    /// Tensors of the checkpoint that are no part of the model, by its names.
    public let ignoredTensors: [String]
    /// Bytes of the checkpoint that will be read.
    public let sourceByteCount: Int
    /// What a budget is spent on.
    let budget: JSONValue?

    /// Bytes of all tensors as stored.
    public var byteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

    /// Numbers that were learned, over all tensors.
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } }

    /// The plan as one JSON object: `schema` (1), `architecture`, `naming`, `parameters`, `bytes`,
    /// `source_bytes`, `tensors` (each with `name`, `shape`, `scheme`, `bytes` and maybe `reason`)
    /// and `ignored`; within a budget `budget` too.
    public var json: String {
      let tensors = tensors.map { tensor -> JSONValue in
        var object = JSONObject()
        object.set("name", .string(tensor.name))
        object.set("shape", .array(tensor.shape.map { .int($0) }))
        object.set("scheme", .string(tensor.scheme.name))
        object.set("bytes", .int(tensor.byteCount))
        if let reason = tensor.reason { object.set("reason", .string(reason)) }
        return .object(object)
      }
      var object = JSONObject()
      object.set("schema", 1)
      object.set("architecture", .string(architecture))
      object.set("naming", .string(naming))
      object.set("parameters", .int(parameterCount))
      object.set("bytes", .int(byteCount))
      object.set("source_bytes", .int(sourceByteCount))
      object.set("tensors", .array(tensors))
      if let budget { object.set("budget", budget) }
      object.set("ignored", .array(ignoredTensors.map { .string($0) }))
      return JSONValue.object(object).serialized()
    }
  }

  /// What `convert` would write, without reading or writing anything; with a budget, what it would
  /// write without: see `budgetPlan`.
  public var plan: Plan { Plan(conversion, source) }
}

extension Converter.Plan {
  package init(_ conversion: Conversion, _ source: SourceModel) {
    self.init(
      architecture: source.description.architecture, naming: source.checkpoint.naming,
      tensors: conversion.plan.items.map { item in
        Tensor(
          name: item.spec.path, shape: item.spec.shape, scheme: WeightScheme(item.format.scheme),
          byteCount: item.byteCount, reason: item.reason?.description)
      },
      ignoredTensors: source.checkpoint.unused, sourceByteCount: conversion.sourceByteCount,
      budget: conversion.spending?.json)
  }
}
