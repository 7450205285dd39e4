import Testing
import VLMFoundation
import VLMZ

@testable import VLMServer

@Suite struct ToolUseTests {
  private static let weather =
    ##"{"type": "function", "function": {"name": "weather", "description": "The weather", "##
    + ##""parameters": {"type": "object", "properties": {"place": {"$ref": "#/$defs/Place"}}, "##
    + ##""required": ["place"], "$defs": {"Place": {"type": "string"}}}}}"##
  private static let time = #"{"type": "function", "function": {"name": "time"}}"#

  private func chat(_ messages: String, _ more: String) throws -> ChatRequest {
    try ChatRequest(
      try body(#"{"messages": [\#(messages)], \#(more)}"#), limits: small, randomSeed: { 1 })
  }

  private let question = #"{"role": "user", "content": "How is the weather?"}"#

  private func tools(_ choice: String = "") throws -> ChatRequest {
    try chat(question, #""tools": [\#(Self.weather), \#(Self.time)]\#(choice)"#)
  }

  @Test func theModelIsToldOfTheFunctions() throws {
    let request = try tools()
    #expect(request.messages.map(\.role) == [.system, .user])
    #expect(request.messages[0].text.contains(#""name":"weather","description":"The weather""#))
    #expect(request.parameters.options.format == .text)
    let own = try chat(
      #"{"role": "system", "content": "Be brief."}, \#(question)"#, #""tools": [\#(Self.time)]"#)
    #expect(own.messages[0].text.hasPrefix("Be brief.\n\n# Tools"))
  }

  @Test func aChoiceThatCannotBeIsRefusedWithoutToolsToo() {
    let error = refusal { _ = try chat(question, #""parallel_tool_calls": "no""#) }
    #expect(error?.parameter == "parallel_tool_calls")
  }

  @Test func noneMeansThatThereAreNone() throws {
    let request = try tools(#", "tool_choice": "none""#)
    #expect(request.messages.count == 1)
    #expect(request.parameters.tools == nil)
  }

  @Test(
    "a call that is required is a form of the answer",
    arguments: [
      #", "tool_choice": "required""#,
      #", "tool_choice": {"type": "function", "function": {"name": "weather"}}"#,
    ])
  func required(_ choice: String) throws {
    let request = try tools(choice)
    let format = request.parameters.options.format
    try format.validate()
    guard case .jsonSchema(let schema) = format else {
      Issue.record("a schema, found \(format)")
      return
    }
    #expect(schema.contains(##""$ref":"#/$defs/tool0/$defs/Place""##))
    #expect(schema.contains(#""const":"time""#) == choice.contains("required"))
  }

  @Test func callsAreReadOutOfAnswers() throws {
    let tools = try #require(try tools().parameters.tools)
    let call = #"{"name": "weather", "arguments": {"place": "Bonn"}}"#
    let expected = ToolUse.Call(name: "weather", arguments: #"{"place":"Bonn"}"#)
    #expect(tools.reply(call) == ToolUse.Reply(content: "", calls: [expected]))
    let two = tools.reply(
      "Let me see.\n<tool_call>\n\(call)\n</tool_call>\n<tool_call>{\"name\": \"time\"}</tool_call>"
    )
    #expect(two.content == "Let me see.")
    #expect(two.calls == [expected, ToolUse.Call(name: "time", arguments: "{}")])
    let single = try chat(
      question,
      #""tools": [\#(Self.weather), \#(Self.time)], "parallel_tool_calls": false"#)
    let one = try #require(single.parameters.tools).reply(
      "<tool_call>\(call)</tool_call><tool_call>{\"name\": \"time\"}</tool_call>")
    #expect(one == ToolUse.Reply(content: "", calls: [expected]))
    // The end may be cut off, or be a special token.
    #expect(tools.reply("<tool_call>\n" + call).calls == [expected])
    for text in [
      "Sunny.", "{}", #"{"name": "other", "arguments": {}}"#, "<tool_call>no</tool_call>",
      "<tool_call>", #"{"name": "weather", "arguments": 5}"#,
    ] {
      #expect(tools.reply(text) == ToolUse.Reply(content: text))
    }
  }

  @Test(
    "a function without parameters takes an empty object alone",
    arguments: [
      "", #", "parameters": {}"#, #", "parameters": {"type": "object", "properties": {}}"#,
      #", "parameters": {"type": "object", "properties": {}, "required": [], "title": "None"}"#,
    ])
  func takesNothing(_ parameters: String) throws {
    let request = try chat(
      question,
      #""tools": [{"function": {"name": "time"\#(parameters)}}], "tool_choice": "required""#)
    guard case .jsonSchema(let schema) = request.parameters.options.format else {
      Issue.record("a schema, found \(request.parameters.options.format)")
      return
    }
    let arguments = try JSONValue.parse(schema)["$defs"]?["tool0"]
    #expect(
      arguments == ["type": "object", "properties": [:], "additionalProperties": false])
  }

  @Test("parameters that are named in another way are kept")
  func takesSomething() throws {
    for parameters in [
      #"{"anyOf": [{"type": "object"}]}"#, #"{"type": "object", "additionalProperties": true}"#,
      #"{"type": "object", "properties": {"a": {}}}"#,
    ] {
      let request = try chat(
        question, #""tools": [{"function": {"name": "a", "parameters": \#(parameters)}}]"#)
      let kept = try JSONValue.parse(parameters)
      #expect(request.parameters.tools?.functions.first?.parameters == kept)
    }
  }

  @Test("a required call that was cut off is a call as far as it came")
  func cutCalls() throws {
    let both = try #require(try tools(#", "tool_choice": "required""#).parameters.tools)
    let cases: [(String, ToolUse.Call?)] = [
      ("", nil), (#"{"name": "wea"#, nil),
      (#"{"name": "weather""#, .init(name: "weather", arguments: "")),
      (#"{"name": "weather", "argum"#, .init(name: "weather", arguments: "")),
      (
        #"{"name": "weather", "arguments": {"place": "Bo"#,
        .init(name: "weather", arguments: #"{"place": "Bo"#)
      ),
      (#"{ "name":"time","arguments":{}"#, .init(name: "time", arguments: "{}")),
    ]
    for (text, call) in cases {
      let reply = both.reply(text)
      #expect(reply.content == "", "\(text)")
      #expect(reply.calls == (call.map { [$0] } ?? []), "\(text)")
      #expect(reply.reason("length") == "length", "\(text)")
    }
    #expect(both.reply(#"{"name": "time", "arguments": {}}"#).reason("length") == "tool_calls")
    let choice = #", "tool_choice": {"type": "function", "function": {"name": "time"}}"#
    let one = try #require(try tools(choice).parameters.tools)
    #expect(one.reply(#"{"na"#).calls == [ToolUse.Call(name: "time", arguments: "")])
  }

  @Test func aChoiceThatIsNoneOfTheToolsIsNamed() {
    let message = refusal {
      _ = try tools(#", "tool_choice": {"type": "function", "function": {"name": "tides"}}"#)
    }?.message
    #expect(message?.contains("found the function 'tides'") == true, "\(message ?? "accepted")")
  }

  @Test func biasesOfTokensThatThereAreNotAreRefused() throws {
    let parameters = try chat(question, #""logit_bias": {"7": 1, "9": -1}"#).parameters
    try parameters.checkBiases(vocabulary: 10)
    let error = refusal { try parameters.checkBiases(vocabulary: 9) }
    #expect(error?.parameter == "logit_bias")
    #expect(error?.message.contains("found token 9") == true)
  }

  @Test func resultsOfCallsAreOneMessage() throws {
    let call = #"{"id": "a", "type": "function", "function": {"name": "time", "arguments": "{}"}}"#
    let request = try chat(
      #"\#(question), {"role": "assistant", "content": null, "tool_calls": [\#(call), \#(call)]},"#
        + #" {"role": "tool", "tool_call_id": "a", "content": "noon"},"#
        + #" {"role": "tool", "content": [{"type": "text", "text": "night"}]}"#,
      #""tools": [\#(Self.time)]"#)
    #expect(request.messages.map(\.role) == [.system, .user, .assistant, .user])
    let asked = "<tool_call>\n{\"name\":\"time\",\"arguments\":{}}\n</tool_call>"
    #expect(request.messages[2].text == asked + "\n" + asked)
    #expect(
      request.messages[3].text
        == "<tool_response>\nnoon\n</tool_response>\n<tool_response>\nnight\n</tool_response>")
  }

  @Test(
    "tools that cannot be are refused by name",
    arguments: [
      (#""tools": [{"type": "function"}]"#, "tools[0].function"),
      (#""tools": [{"type": "web_search"}]"#, "tools[0].type"),
      (#""tools": [{"function": {"name": "a b"}}]"#, "tools[0].function.name"),
      (#""tools": [], "tool_choice": "required""#, "tool_choice"),
      (#""tools": [{"function": {"name": "a"}}], "tool_choice": "b""#, "tool_choice"),
      (
        #""tools": [{"function": {"name": "a"}}], "tool_choice": {"function": {"name": "b"}}"#,
        "tool_choice"
      ),
      (
        #""tools": [{"function": {"name": "a"}}], "tool_choice": "required", "grammar": "root ::= [a]""#,
        "tool_choice"
      ),
    ])
  func refuses(_ more: String, _ name: String) {
    #expect(refusal { _ = try chat(question, more) }?.parameter == name)
  }
}
