import Testing
import VLMFoundation
import VLMTensor
import VLMTestSupport

@testable import VLMZ

/// Models whose weights do not all stay in memory.
@Suite("Models in little memory")
struct LimitedMemoryTests {
  private func limited(_ made: LibraryModels) throws -> Model {
    let container = try made.open().container
    let model = try Model(
      container, kernels: .selected(), pool: .init(threadCount: 2),
      memory: .weights(container.weightBytes / 3))
    #expect(model.reading != nil)
    return model
  }

  private func whole(_ made: LibraryModels) throws -> Model {
    let model = try Model(
      made.open().container, kernels: .selected(), pool: .init(threadCount: 2), memory: .all)
    #expect(model.reading == nil)
    return model
  }

  @Test("classes and embeddings are the bits that they are with all weights in memory")
  func classifier() throws {
    let made = try LibraryModels.classifier()
    let picture = try LibraryModels.horse()
    let (few, all) = (try Session(of: limited(made)), try Session(of: whole(made)))
    for _ in 0..<2 {
      #expect(try few.classify(picture) == all.classify(picture))
      #expect(try few.embed(picture) == all.embed(picture))
    }
    let reading = try #require(few.model.reading)
    // Each pass reads again what has no room.
    #expect(reading.reader.bytesRead > reading.reader.byteCount)
  }

  @Test("answers about a picture are the same")
  func answers() throws {
    let made = try LibraryModels.sighted()
    let picture = try LibraryModels.picture("cup.png")
    let texts = try [limited(made), whole(made)].map { model in
      let encoded = try Session(of: model).encode(picture)
      let conversation = try Conversation(with: model)
      return try conversation.ask("What is in the picture?", about: [encoded]).text
    }
    #expect(texts[0] == texts[1] && !texts[0].isEmpty)
  }

  @Test(
    "the parts of a model are its layers in the order of their use, with all that is multiplied")
  func parts() throws {
    let made = try LibraryModels.stories()
    let model = try made.open()
    let parts = WeightParts(try model.description.manifest(), in: model.container)
    let layers = model.container.tensors.filter { $0.name.hasSuffix("q_proj.weight") }.count
    #expect(layers > 1)
    let names = parts.parts.map(\.name).filter { $0.contains("layers.") }
    #expect(names == (0..<layers).map { "layers.\($0)" })
    for tensor in model.container.tensors where tensor.name.contains("_proj") {
      let part = try #require(parts.partOfTensor[tensor.name])
      #expect(parts.parts[part].ranges.contains { $0.contains(tensor.range.lowerBound) })
    }
    for part in parts.parts {
      #expect(
        zip(part.ranges, part.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
    }
  }

  @Test("a limit below 16 MiB is refused, and one that is kept is told of the model")
  func limits() throws {
    let made = try LibraryModels.stories()
    let refused = libraryError {
      _ = try Model(opening: made.path, options: .init(memoryByteLimit: 1000))
    }
    #expect(refused?.code == .invalidArgument)
    let ample = try Model(opening: made.path, options: .init(memoryByteLimit: 1 << 40))
    #expect(try JSONValue.parse(ample.describe())["memory_bytes"] == .null)
    let small = try limited(made)
    let told = try JSONValue.parse(small.describe())["memory_bytes"]?.intValue
    #expect(told == small.container.weightBytes / 3)
    // So little leaves room for a short context, not for none.
    #expect(try Conversation(with: small).contextLength > 0)
  }
}
