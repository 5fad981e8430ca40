/// How shells ask for names that only the daemon knows.
private let names = """
    _apus_names() {
        case "$1" in
            containers) apus ps -a --format '{{.Names}}' 2>/dev/null ;;
            images) apus images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null ;;
        esac
    }

    """

/// Flags before the verb whose value is a word of its own.
private var valuedGlobals: String {
    globalFlags.filter { !$0.isBool }.flatMap { flag in ["--\(flag.name)"] + (flag.short.map { ["-\($0)"] } ?? []) }.joined(separator: "|")
}

private func spellings(_ flag: Flag) -> [String] { (flag.short.map { ["-\($0)"] } ?? []) + ["--\(flag.name)"] }

/// The words of the command line that name the verb, in bash and in zsh.
/// - Parameters:
///   - words: the array of words; `first`: the index of the one behind `apus`; `current`: that of the one that is being typed.
private func findVerb(_ verbs: [Verb], words: String, first: Int, current: String) -> String {
    """
        local verb="" index=\(first) word
        while (( index < \(current) )); do
            word="${\(words)[index]}"
            case "$word" in
                \(valuedGlobals)) [[ -z $verb ]] && (( index++ )) ;;
                -*) ;;
                *)
                    if [[ -z $verb ]]; then verb="$word"
                    elif [[ " \(commandGroups(of: verbs).joined(separator: " ")) " == *" $verb "* ]]; then verb="$verb $word"; break
                    else break
                    fi ;;
            esac
            (( index++ ))
        done

    """
}

/// The completion of bash.
package func bashCompletion(_ verbs: [Verb]) -> String {
    let groups = ([""] + commandGroups(of: verbs)).map { group -> String in
        let words = nextWords(after: group, in: verbs).map(\.word)
        let flags = group.isEmpty ? globalFlags.flatMap(spellings) : []
        return
            "        \(shellQuoted(group))) words=\(shellQuoted(words.joined(separator: " "))); flags=\(shellQuoted(flags.joined(separator: " "))) ;;\n"
    }
    let rows = verbs.map { verb -> String in
        let flags = shownFlags(verb).flatMap(spellings).joined(separator: " ")
        return
            "        \(verb.names.map(shellQuoted).joined(separator: "|"))) flags=\(shellQuoted(flags)); kind=\(OperandKind(verb).rawValue) ;;\n"
    }
    return """
        # bash completion of apus, made by `apus __generate bash`.
        \(names)
        _apus() {
            local current="${COMP_WORDS[COMP_CWORD]}" words="" flags="" kind=""
        \(findVerb(verbs, words: "COMP_WORDS", first: 1, current: "COMP_CWORD"))
            case "$verb" in
        \((groups + rows).joined())    esac
            if [[ $current == -* ]]; then
                COMPREPLY=($(compgen -W "$flags" -- "$current"))
            elif [[ $kind == files ]]; then
                COMPREPLY=($(compgen -f -- "$current"))
            else
                [[ -n $kind ]] && words="$(_apus_names "$kind")"
                COMPREPLY=($(compgen -W "$words" -- "$current"))
                [[ $(type -t __ltrim_colon_completions) == function ]] && __ltrim_colon_completions "$current"
            fi
        }
        complete -F _apus apus

        """
}

/// The completion of zsh.
package func zshCompletion(_ verbs: [Verb]) -> String {
    func described(_ word: String, _ summary: String) -> String {
        shellQuoted("\(word):\(firstLine(summary))")
    }
    let groups = ([""] + commandGroups(of: verbs)).map { group -> String in
        let words = nextWords(after: group, in: verbs).map { described($0.word, $0.summary) }
        let flags = group.isEmpty ? globalFlags.flatMap { flag in spellings(flag).map { described($0, flag.usage) } } : []
        return "        \(shellQuoted(group))) words_=(\(words.joined(separator: " "))); flags=(\(flags.joined(separator: " "))) ;;\n"
    }
    let rows = verbs.map { verb -> String in
        let flags = shownFlags(verb).flatMap { flag in spellings(flag).map { described($0, flag.usage) } }
        return
            "        \(verb.names.map(shellQuoted).joined(separator: "|"))) flags=(\(flags.joined(separator: " "))); kind=\(OperandKind(verb).rawValue) ;;\n"
    }
    return """
        #compdef apus
        # zsh completion of apus, made by `apus __generate zsh`.
        \(names)
        _apus() {
            local -a words_ flags found
            local kind=""
        \(findVerb(verbs, words: "words", first: 2, current: "CURRENT"))
            case "$verb" in
        \((groups + rows).joined())    esac
            if [[ $words[CURRENT] == -* ]]; then
                _describe -o option flags
            elif [[ $kind == files ]]; then
                _files
            elif [[ -n $kind ]]; then
                found=("${(@f)$(_apus_names $kind)}")
                compadd -a found
            else
                _describe command words_
            fi
        }
        compdef _apus apus

        """
}

/// The completion of fish.
package func fishCompletion(_ verbs: [Verb]) -> String {
    var lines = ["# fish completion of apus, made by `apus __generate fish`.", "complete -c apus -f"]
    for row in nextWords(after: "", in: verbs) {
        lines.append("complete -c apus -n __fish_use_subcommand -a \(shellQuoted(row.word)) -d \(shellQuoted(firstLine(row.summary)))")
    }
    for group in commandGroups(of: verbs) {
        let words = nextWords(after: group, in: verbs)
        let all = words.map(\.word).joined(separator: " ")
        for row in words {
            let condition = "__fish_seen_subcommand_from \(group); and not __fish_seen_subcommand_from \(all)"
            lines.append(
                "complete -c apus -n \(shellQuoted(condition)) -a \(shellQuoted(row.word)) -d \(shellQuoted(firstLine(row.summary)))")
        }
    }
    for verb in verbs {
        let last = Set(verb.names.compactMap { $0.split(separator: " ").last.map(String.init) }).sorted().joined(separator: " ")
        let condition = shellQuoted("__fish_seen_subcommand_from \(last)")
        for flag in shownFlags(verb) {
            let short = flag.short.map { " -s \($0)" } ?? ""
            lines.append(
                "complete -c apus -n \(condition) -l \(flag.name)\(short)\(flag.isBool ? "" : " -r") -d \(shellQuoted(firstLine(flag.usage)))"
            )
        }
        switch OperandKind(verb) {
        case .containers: lines.append("complete -c apus -n \(condition) -a \"(apus ps -a --format '{{.Names}}' 2>/dev/null)\"")
        case .images: lines.append("complete -c apus -n \(condition) -a \"(apus images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null)\"")
        case .files: lines.append("complete -c apus -n \(condition) -F")
        }
    }
    return lines.joined(separator: "\n") + "\n"
}

/// The completion of PowerShell.
package func powerShellCompletion(_ verbs: [Verb]) -> String {
    // Keys of its tables know no case, and words of the command line do: what is offered stands in lists, each word before what is said of it.
    func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }
    func table(_ rows: [(key: String, list: [(word: String, summary: String)])]) -> String {
        rows.map { row in
            let list = row.list.map { quoted("\($0.word) \(firstLine($0.summary))") }.joined(separator: ", ")
            return "        \(quoted(row.key)) = @(\(list))\n"
        }.joined()
    }
    func listed(_ flags: [Flag]) -> [(word: String, summary: String)] {
        flags.flatMap { flag in spellings(flag).map { (word: $0, summary: flag.usage) } }
    }
    let groups = ([""] + commandGroups(of: verbs)).map { (key: $0, list: nextWords(after: $0, in: verbs)) }
    let flags = verbs.flatMap { verb in verb.names.map { (key: $0, list: listed(shownFlags(verb))) } }
    let kinds = verbs.flatMap { verb in verb.names.map { "        \(quoted($0)) = \(quoted(OperandKind(verb).rawValue))\n" } }
    let valued = valuedGlobals.split(separator: "|").map { quoted(String($0)) }.joined(separator: ", ")
    return """
        # PowerShell completion of apus, made by `apus __generate powershell`.
        Register-ArgumentCompleter -Native -CommandName 'apus' -ScriptBlock {
            param($typed, $tree, $cursor)
            $words = @{
        \(table(groups))    }
            $flags = @{
        \(table([(key: "", list: listed(globalFlags))] + flags))    }
            $kinds = @{
        \(kinds.joined())    }
            $valued = @(\(valued))
            $verb = ''
            $isValue = $false
            foreach ($element in $tree.CommandElements | Select-Object -Skip 1) {
                if ($element.Extent.EndOffset -ge $cursor) { break }
                $word = $element.Extent.Text
                if ($isValue) { $isValue = $false; continue }
                if ($word.StartsWith('-')) { $isValue = ($verb -eq '') -and ($valued -ccontains $word); continue }
                $verb = "$verb $word".Trim()
                if (-not $words.ContainsKey($verb)) { break }
            }
            $rows = if ($typed.StartsWith('-')) { $flags[$verb] }
                elseif ($words.ContainsKey($verb)) { $words[$verb] }
                elseif ($kinds[$verb] -eq 'containers') { apus ps -a --format '{{.Names}}' 2>$null }
                elseif ($kinds[$verb] -eq 'images') { apus images --format '{{.Repository}}:{{.Tag}}' 2>$null }
            # Where nothing is offered PowerShell offers files.
            $rows | Where-Object { $_ -and $_.StartsWith($typed, 'Ordinal') } | ForEach-Object {
                $word, $summary = $_ -split ' ', 2
                if (-not $summary) { $summary = $word }
                [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $summary)
            }
        }

        """
}
