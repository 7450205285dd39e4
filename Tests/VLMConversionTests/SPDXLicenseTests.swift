import Testing

@testable import VLMConversion

/// What is told of a licence that a source states.
@Suite("Licences of SPDX's list")
struct SPDXLicenseTests {
  @Test(
    "an identifier is known in any case",
    arguments: [
      ("apache-2.0", "Apache-2.0"), ("MIT", "MIT"), ("mit", "MIT"),
      ("CC-by-nc-4.0", "CC-BY-NC-4.0"), ("cc0-1.0", "CC0-1.0"),
    ])
  func known(_ stated: String, _ identifier: String) {
    #expect(SPDXLicense.identifier(stated) == identifier)
  }

  @Test(
    "other words are none",
    arguments: ["", "llama3.1", "other", "gpl-3.0", "Apache 2.0", "MIT OR Apache-2.0", "mit "])
  func unknown(_ stated: String) {
    #expect(SPDXLicense.identifier(stated) == nil)
  }

  @Test("documents state it where it is one, and the source's words where not")
  func documents() throws {
    for (license, identifier) in [("apache-2.0", "Apache-2.0"), ("llama3.1", nil)] {
      let bill = BillOfMaterials(
        name: "m.vlmz", byteCount: 1, sha256: [1], rootHash: [UInt8](repeating: 2, count: 16),
        architecture: nil, license: license, steps: [], tensorCount: 0, parameterCount: 0,
        schemes: [])
      let package = bill.spdx["packages"]?.arrayValue?.first
      #expect(package?["licenseDeclared"]?.stringValue == identifier ?? "NOASSERTION")
      #expect(package?["licenseConcluded"] == "NOASSERTION")
      #expect(package?["licenseComments"]?.stringValue == "The source states: \(license)")
      let component = bill.cycloneDX["metadata"]?["component"]
      let stated = component?["licenses"]?.arrayValue?.first?["license"]
      #expect(stated?["id"]?.stringValue == identifier)
      #expect(stated?["name"]?.stringValue == (identifier == nil ? license : nil))
    }
  }
}
