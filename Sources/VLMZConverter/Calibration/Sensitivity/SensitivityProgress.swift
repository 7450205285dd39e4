import VLMFoundation
import VLMTensor

/// How far a `SensitivityRun` is, for a later one of the same that goes on.
///
/// With it go the states that the stage under way starts from: `ReplaceablePart.statesToCompare`.
struct SensitivityProgress: Equatable {
  /// How much of the data is run, which decides the values.
  let amount: SensitivityRun.Amount
  /// The part that is under way; those before it are done.
  var part = 0
  /// The stage of it that is under way.
  var stage = 0
  /// What the matrices of a group cost, by the group's name, of the parts that are done.
  var values: [String: [Double]] = [:]
  /// The same of the part that is under way, which is yet to be corrected.
  var uncorrected: [String: [Double]] = [:]
  /// What the states are of.
  var streams: [ComparedStream] = []

  init(_ amount: SensitivityRun.Amount) { self.amount = amount }

  /// Matrices whose costs are known.
  var count: Int { [values, uncorrected].joined().reduce(0) { $0 + $1.value.count } }

  // MARK: - JSON

  var json: JSONValue {
    [
      "positions": .int(amount.positions), "pictures": .int(amount.pictures),
      "part": .int(part), "stage": .int(stage), "values": Self.json(values),
      "uncorrected": Self.json(uncorrected),
      "streams": .array(
        streams.map { ["kind": .string($0.kind), "loss": .double($0.loss)] }),
    ]
  }

  /// Nil for what is none.
  init?(json: JSONValue) {
    guard let positions = json["positions"]?.intValue, let pictures = json["pictures"]?.intValue,
      let part = json["part"]?.intValue, part >= 0, let stage = json["stage"]?.intValue,
      stage >= 0, let values = Self.values(json["values"]),
      let uncorrected = Self.values(json["uncorrected"]),
      let list = json["streams"]?.arrayValue
    else { return nil }
    amount = .init(positions: positions, pictures: pictures)
    (self.part, self.stage) = (part, stage)
    (self.values, self.uncorrected) = (values, uncorrected)
    streams = list.compactMap { stream in
      guard let kind = stream["kind"]?.stringValue, let loss = stream["loss"]?.doubleValue,
        loss.isFinite, loss >= 0
      else { return nil }
      return ComparedStream(kind: kind, loss: loss)
    }
    guard streams.count == list.count else { return nil }
  }

  private static func json(_ values: [String: [Double]]) -> JSONValue {
    var object = JSONObject()
    for (name, numbers) in values.sorted(by: { $0.key < $1.key }) {
      object.set(name, .array(numbers.map { .double($0) }))
    }
    return .object(object)
  }

  private static func values(_ json: JSONValue?) -> [String: [Double]]? {
    guard let object = json?.objectValue else { return nil }
    var values: [String: [Double]] = [:]
    for member in object.members {
      guard let list = member.value.arrayValue else { return nil }
      let numbers = list.compactMap(\.doubleValue).filter { $0.isFinite && $0 >= 0 }
      guard numbers.count == list.count else { return nil }
      values[member.key] = numbers
    }
    return values
  }
}

/// States of a model in which matrices are replaced, all of one kind.
struct ComparedStream: Equatable {
  let kind: String
  /// The losses of the kind's matrices so far.
  let loss: Double
}
