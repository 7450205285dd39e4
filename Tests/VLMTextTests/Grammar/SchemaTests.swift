import Foundation
import Testing
import VLMFoundation
import VLMTestSupport

@testable import VLMText

/// Schemas with documents that Python's jsonschema judged: `scripts/make-grammar-fixtures`.
struct SchemaFixtures {
  struct Case {
    let schema: JSONValue
    let written: [String]
    let others: [String]

    func grammar() throws -> Grammar {
      try Grammar(jsonSchema: Array(schema.serialized().utf8))
    }
  }

  let cases: [Case]

  init() throws {
    let json = try TokenizerFixtures.json(TestFiles.fixture("grammar/schemas.json"))
    cases = try #require(json.arrayValue).map { item in
      Case(
        schema: try #require(item["schema"]),
        written: try #require(item["written"]?.arrayValue).compactMap(\.stringValue),
        others: try #require(item["others"]?.arrayValue).compactMap { $0["text"]?.stringValue })
    }
  }
}

struct SchemaTests {
  @Test(
    "of the documents that jsonschema judged, those that are to be written match, and no others")
  func documents() throws {
    var count = 0
    for item in try SchemaFixtures().cases {
      let grammar = try item.grammar()
      for text in item.written {
        #expect(grammar.matches(Array(text.utf8)), "\(item.schema.serialized()): \(text)")
      }
      for text in item.others {
        #expect(!grammar.matches(Array(text.utf8)), "\(item.schema.serialized()): \(text)")
      }
      count += item.written.count + item.others.count
    }
    #expect(count > 300)
  }

  @Test("bounds beside a list leave those of its values that keep them")
  func boundedLists() throws {
    for (schema, written, others) in [
      (
        #"{"enum":["a","bb","ccc",4],"minLength":2,"maxLength":2}"#, ["\"bb\"", "4"],
        ["\"a\"", "\"ccc\""]
      ),
      (
        #"{"enum":["a",1,2,3.5,4],"minimum":2,"exclusiveMaximum":4}"#, ["\"a\"", "2", "3.5"],
        ["1", "4"]
      ),
      (#"{"const":"é","maxLength":1}"#, ["\"é\""], ["\"e\""]),
    ] {
      let grammar = try Grammar(jsonSchema: Array(schema.utf8))
      for text in written { #expect(grammar.matches(Array(text.utf8)), "\(schema): \(text)") }
      for text in others { #expect(!grammar.matches(Array(text.utf8)), "\(schema): \(text)") }
    }
  }

  @Test("formats have a part of what they may be")
  func formats() throws {
    for (format, written, others) in [
      ("duration", ["P3D", "P1DT5M", "PT12H", "P2W"], ["P", "PT", "3D", "P1W2D", "P0D"]),
      ("ipv6", ["2001:db8:0:0:0:0:0:1"], ["1:2:3:4:5:6:7", "12345:0:0:0:0:0:0:1"]),
      ("uri", ["https://a.example/b/c.html", "http://localhost/"], ["a.example", "ftp://a"]),
      ("binary", ["anything at all"], []), ("password", [""], []),
    ] as [(String, [String], [String])] {
      let grammar = try Grammar(jsonSchema: Array(#"{"format":"\#(format)"}"#.utf8))
      for text in written { #expect(grammar.matches(Array("\"\(text)\"".utf8)), "\(text)") }
      for text in others { #expect(!grammar.matches(Array("\"\(text)\"".utf8)), "\(text)") }
    }
  }

  static let refusals: [(String, String)] = [
    (
      "{\"type\":\"thing\"}",
      "schema: #/type: found 'thing', expected one of object, array, string, number, integer, boolean, null"
    ),
    ("{\"minLenght\":1}", "schema: #/minLenght: 'minLenght' is not supported"),
    ("{\"not\":{}}", "schema: #/not: 'not' is not supported"),
    (
      "{\"properties\":{\"a/b\":{\"if\":{}}}}",
      "schema: #/properties/a~1b/if: 'if' is not supported"
    ),
    (
      "{\"patternProperties\":{}}",
      "schema: #/patternProperties: 'patternProperties' is not supported"
    ),
    (
      "{\"type\":\"array\",\"uniqueItems\":true}",
      "schema: #/uniqueItems: 'uniqueItems' is not supported"
    ),
    ("{\"type\":\"array\",\"contains\":{}}", "schema: #/contains: 'contains' is not supported"),
    ("{\"multipleOf\":2}", "schema: #/multipleOf: 'multipleOf' is not supported"),
    (
      "{\"items\":[{}]}",
      "schema: #/items: found an array, expected one schema; 'prefixItems' has an array of them"
    ),
    ("{\"minItems\":-1}", "schema: #/minItems: found -1, expected a whole number, 0 or more"),
    (
      "{\"minimum\":\"1\"}",
      "schema: #/minimum: found \"1\", expected a number of at most 32 digits on either side of its point"
    ),
    (
      "{\"exclusiveMinimum\":true}",
      "schema: #/exclusiveMinimum: found true, expected a number of at most 32 digits on either side of its point"
    ),
    (
      "{\"format\":\"color\"}",
      "schema: #/format: found 'color', expected one of binary, date, date-time, duration, email, hostname, ipv4, ipv6, "
        + "password, time, uri, uuid"
    ),
    ("{\"pattern\":\"(?=a)\"}", "schema: #/pattern, character 3: a look ahead is not supported"),
    ("{\"pattern\":\"(a)\\\\1\"}", "schema: #/pattern, character 6: '\\1' is not supported"),
    ("{\"pattern\":\"a^\"}", "schema: #/pattern, character 2: '^' here is not supported"),
    (
      "{\"pattern\":\"^a+$\",\"maxLength\":3}",
      "schema: #: a length that 'pattern' or 'format' does not keep by itself is not supported"
    ),
    (
      "{\"enum\":[\"a\"],\"pattern\":\"a\"}",
      "schema: #: 'pattern' beside 'enum' or 'const' is not supported"
    ),
    (
      "{\"$ref\":\"other.json\"}",
      "schema: #/$ref: 'other.json', a reference to what is not in this document, is not supported"
    ),
    (
      "{\"$ref\":\"#/$defs/a\"}",
      "schema: #/$ref: found '#/$defs/a', expected a place in this document"
    ),
    (
      "{\"minProperties\":1}",
      "schema: #: 'minProperties' above the number of required properties is not supported"
    ),
    (
      "{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}",
      "schema: #/oneOf: found schemas 0 and 1, of which both may hold, expected 'anyOf', or schemas that exclude "
        + "each other by type or by a property with constants"
    ),
    (
      "{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}",
      "schema: '#': found no text that it matches, expected at least one of limited length"
    ),
    (
      "false", "schema: '#': found no text that it matches, expected at least one of limited length"
    ),
    (
      "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"$ref\":\"#\"}}}",
      "schema: '#': found no text that it matches, expected at least one of limited length"
    ),
    (
      "{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
      "schema: '#': found no text that it matches, expected at least one of limited length"
    ),
    ("[]", "schema: #: found an array, expected an object"),
    ("{", "schema: schema: invalid JSON at byte 1: the text ends here, expected ',' or '}'"),
  ]

  @Test("what a schema cannot be kept for is refused by its name and place")
  func refused() {
    for (schema, message) in Self.refusals {
      do {
        _ = try Grammar(jsonSchema: Array(schema.utf8))
        Issue.record("'\(schema)' was read")
      } catch {
        #expect(error.description == message, "\(schema)")
      }
    }
    #expect(Self.refusals.count == 28)
  }

  @Test("a hostile schema is bounded")
  func limits() {
    let opening = String(repeating: "{\"items\":", count: 100)
    let deep = "\(opening){}\(String(repeating: "}", count: 100))"
    let pairs = (0..<40).map { _ in "{\"anyOf\":[{\"minLength\":1},{\"minLength\":2}]}" }
    let counted = "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"minItems\":100000}}"
    let schemas: [String] = [
      deep, "{\"allOf\":[\(pairs.joined(separator: ","))]}", counted,
      "{\"type\":\"string\",\"maxLength\":1000000000000}", "{\"$ref\":\"#\"}",
      "{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}},\"$ref\":\"#/$defs/a\"}",
      "{\"pattern\":\"(((((a{4000}){4000}){4000}){4000}){4000})\"}",
    ]
    for schema in schemas {
      #expect(throws: TextError.self, "\(schema.prefix(60))") {
        try Grammar(jsonSchema: Array(schema.utf8))
      }
    }
  }

  @Test("an object of JSON mode is any object, and nothing else")
  func object() throws {
    let grammar = try Grammar.jsonObject()
    for text in ["{}", "{\"a\": [1, {\"b\": null}], \"c\":\n  \"d\"}", "{\n\t\"é\": -0.5e-7\n}"] {
      #expect(grammar.matches(Array(text.utf8)), "\(text)")
    }
    for text in ["", "[]", "1", " {}", "{} ", "{\"a\":1,}", "{\"a\"  :1}", "{\"a\":\n\n1}"] {
      #expect(!grammar.matches(Array(text.utf8)), "\(text)")
    }
  }
}
