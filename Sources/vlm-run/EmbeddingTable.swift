import VLMCheckpoint
import VLMCommandLine
import VLMFoundation
import VLMTensor

/// The rows of an embedding file, and what each of them is of.
struct EmbeddingTable {
  /// Nil where there is none: its numbers are NaN.
  private var rows: [[Float]?] = []
  private var subjects: [Subject] = []

  private struct Subject {
    let members: JSONObject
    let error: String?
  }

  /// A row per text, with what it is called.
  struct Texts {
    let labels: [String]
    let rows: [[Float]]
  }

  mutating func add(_ row: [Float], of picture: PictureInput, token: Int? = nil) {
    var members = picture.members
    if let token { members.set("token", .int(token)) }
    rows.append(row)
    subjects.append(Subject(members: members, error: nil))
  }

  mutating func add(failure error: any ReportableError, of picture: PictureInput) {
    rows.append(nil)
    subjects.append(Subject(members: picture.members, error: error.shown))
  }

  /// What there is to write: values and their number of columns.
  ///
  /// - Parameter width: columns where no row tells.
  func values(width: Int) -> (values: [Float], columns: Int) {
    let columns = rows.lazy.compactMap { $0?.count }.first ?? width
    var values: [Float] = []
    values.reserveCapacity(rows.count * columns)
    for row in rows {
      if let row {
        values += row
      } else {
        values.append(contentsOf: repeatElement(.nan, count: columns))
      }
    }
    return (values, columns)
  }

  var count: Int { rows.count }

  /// `{"schema": 1, "rows": [{"image": …, "error": …}, …]}`, an object for each row.
  func json(_ texts: Texts) -> JSONValue {
    var list: [JSONValue] = subjects.map { subject in
      var object = JSONObject()
      for member in subject.members.members where member.key != "schema" {
        object.set(member.key, member.value)
      }
      object.set("error", subject.error.map { .string($0) } ?? .null)
      return .object(object)
    }
    if rows.isEmpty { list = texts.labels.map { ["label": .string($0), "error": .null] } }
    return ["schema": 1, "rows": .array(list)]
  }

  /// Bytes of names that the header of a safetensors file has room for, beside all else.
  private static let maximumMetadata = 64 << 20

  /// What a safetensors file says of its rows: lists in JSON, as its metadata are texts.
  func metadata(_ texts: Texts) -> [(key: String, value: String)] {
    func list(_ name: String, _ values: [JSONValue]) -> [(key: String, value: String)] {
      values.isEmpty ? [] : [(name, JSONValue.array(values).serialized())]
    }
    var result = list("images", subjects.map { $0.members["image"] ?? .null })
    for key in ["frame", "token"] where subjects.contains(where: { $0.members[key] != nil }) {
      result += list(key + "s", subjects.map { $0.members[key] ?? .null })
    }
    result += list("errors", subjects.map { $0.error.map { .string($0) } ?? .null })
    result += list("labels", texts.labels.map { .string($0) })
    guard result.reduce(0, { $0 + $1.value.utf8.count }) <= Self.maximumMetadata else {
      Report.warning(
        "--embed: the names of \(subjects.count) rows are too long for a header of safetensors and "
          + "are left out; a .npy file has them beside it", program: "vlm-run")
      return []
    }
    return result
  }
}
