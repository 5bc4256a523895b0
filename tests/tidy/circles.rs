//! Refuses circles of imports among the files of a crate, and among the root modules of the libraries.
//!
//! A file depends on the files that define what its `use` declarations and its paths from `crate` and `super` name.
//! Names that another file re-exports (`pub use`) lead to the file that defines them. A module and the modules inside
//! it may name each other. A root module and all modules inside it form one unit.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree;

/// The module of a file, from the root of its crate: `["queue", "fold"]`.
type Module = Vec<String>;

/// What a file names of its crate.
#[derive(Default)]
struct Names {
    /// The used paths, as absolute paths.
    used: Vec<Vec<String>>,
    /// The re-exported names, each with its absolute path.
    passed_on: BTreeMap<String, Vec<String>>,
}

/// Returns the paths of a `use` tree, each with the name that it gets.
fn flatten(tree: &str) -> Vec<(Vec<String>, String)> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    let ends = tree.char_indices().chain([(tree.len(), ',')]);
    for (index, character) in ends {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(flatten_one(tree[start..index].trim()));
                start = (index + 1).min(tree.len());
            }
            _ => {}
        }
    }
    found
}

fn flatten_one(tree: &str) -> Vec<(Vec<String>, String)> {
    let segments = |path: &str| -> Vec<String> {
        path.split("::").map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect()
    };
    if let Some((before, inner)) = tree.split_once('{') {
        let inner = inner.trim_end();
        let inner = inner.strip_suffix('}').unwrap_or(inner);
        let add = |(path, name)| (segments(before).into_iter().chain(path).collect(), name);
        return flatten(inner).into_iter().map(add).collect();
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
    let path = segments(path);
    let Some(last) = path.last().cloned() else { return Vec::new() };
    vec![(path, alias.map_or(last, |alias| alias.trim().to_owned()))]
}

/// Resolves a path in a module to a path from the root of the crate, or to `None` if it leads out of the crate. A
/// module inside the file is `inside` levels deeper than the file.
fn absolute(
    module: &[String],
    inside: usize,
    path: &[String],
    modules: &BTreeMap<Module, String>,
) -> Option<Vec<String>> {
    let (mut base, mut rest, mut inside) = (module.to_vec(), path, inside);
    match path.first()?.as_str() {
        "crate" => (base, rest) = (Vec::new(), &path[1..]),
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                if inside > 0 {
                    inside -= 1;
                } else {
                    base.pop();
                }
                rest = &rest[1..];
            }
        }
        child => {
            let is_child = modules.contains_key(&[module, &[child.to_owned()]].concat());
            if !is_child {
                return None;
            }
        }
    }
    Some([base, rest.to_vec()].concat())
}

/// Returns the text without comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn names_of(module: &[String], text: &str, modules: &BTreeMap<Module, String>) -> Names {
    let text = code(text);
    let mut names = Names::default();
    let mut rest = String::new();
    for piece in text.split_inclusive(';') {
        let (before, declaration) = match piece.rfind("use ") {
            Some(at) if piece[..at].rsplit('\n').next().is_some_and(is_beginning) => piece.split_at(at),
            _ => {
                rest.push_str(piece);
                continue;
            }
        };
        rest.push_str(before);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let inside = (line.len() - line.trim_start().len()) / 4;
        let tree = declaration["use ".len()..].trim_end_matches(';');
        for (path, name) in flatten(tree) {
            let Some(path) = absolute(module, inside, &path, modules) else { continue };
            if line.trim_start().starts_with("pub") {
                names.passed_on.insert(name, path);
            } else {
                names.used.push(path);
            }
        }
    }
    let mut words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    names.used.extend(words.by_ref().filter_map(|word| {
        let path: Vec<String> = word.split("::").map(str::to_owned).collect();
        let is_local = matches!(path.first().map(String::as_str), Some("crate" | "super"));
        if is_local && path.len() > 1 { absolute(module, 0, &path, modules) } else { None }
    }));
    names
}

/// Returns `true` for text that may precede `use` in a line.
fn is_beginning(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with("pub") && !line.contains(' ')
}

/// Returns the module that defines what a path names.
fn defined_in(path: &[String], names: &BTreeMap<Module, Names>) -> Module {
    let mut path = path.to_vec();
    for _ in 0..10 {
        let depth = (0..=path.len()).rev().find(|depth| names.contains_key(&path[..*depth])).unwrap_or(0);
        let (module, rest) = path.split_at(depth);
        let passed_on = rest.first().and_then(|name| names.get(module)?.passed_on.get(name));
        let Some(other) = passed_on else { return module.to_vec() };
        path = [other.as_slice(), &rest[1..]].concat();
    }
    path
}

/// Returns the modules on which each module depends.
fn edges(modules: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let names: BTreeMap<Module, Names> =
        modules.iter().map(|(module, text)| (module.clone(), names_of(module, text, modules))).collect();
    let targets = |(module, it): (&Module, &Names)| {
        let targets = it.used.iter().map(|path| defined_in(path, &names));
        let apart = |other: &Module| !other.starts_with(module) && !module.starts_with(other);
        (module.clone(), targets.filter(apart).collect())
    };
    names.iter().map(targets).collect()
}

/// Returns the modules that can be reached from a module.
fn reached(from: &Module, edges: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<Module> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for next in edges.get(module).into_iter().flatten() {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    seen
}

/// Returns the root modules on which each root module depends.
fn between_roots(edges: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeMap<Module, BTreeSet<Module>> {
    let root = |module: &Module| module.iter().take(1).cloned().collect::<Module>();
    let mut roots: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, targets) in edges {
        let own = root(module);
        let others: Vec<Module> = targets.iter().map(root).filter(|other| *other != own).collect();
        roots.entry(own).or_default().extend(others);
    }
    roots
}

/// Returns the circles of modules that depend on each other, each as the names of the modules.
fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<String> {
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        edges.keys().map(|module| (module, reached(module, edges))).collect();
    let circle = |module: &Module| -> Option<String> {
        let back = |other: &&Module| reached[module].contains(*other) && reached[*other].contains(module);
        let members: Vec<String> = edges.keys().filter(back).map(|member| member.join("/")).collect();
        (members.len() > 1).then(|| members.join(", "))
    };
    edges.keys().filter_map(circle).collect()
}

/// Returns the files of a crate by module. The root is the empty module.
fn modules_of(name: &str) -> BTreeMap<Module, String> {
    let source = format!("{name}/src/");
    let module = |path: &str| -> Module {
        let path = path.trim_end_matches(".rs");
        path.split('/').filter(|part| !matches!(*part, "lib" | "main" | "mod")).map(str::to_owned).collect()
    };
    let files = tree::rust_files().into_iter();
    files.filter_map(|file| Some((module(file.path.strip_prefix(&source)?), file.text))).collect()
}

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for name in ["tds-core", "tds-zoho", "tds-postgres", "tds-server"] {
        let modules = modules_of(name);
        assert!(modules.len() > 20, "{name} has only {} files", modules.len());
        found.extend(circles(&edges(&modules)).into_iter().map(|circle| format!("{name}: {circle}")));
    }
    assert!(found.is_empty(), "files import each other: {found:#?}");
}

/// The testkit is left out: its cases name every root module, and the tests inside the root modules name its builders.
/// These tests are left out too.
#[test]
fn no_root_modules_of_a_library_import_each_other_in_a_circle() {
    for name in ["tds-core", "tds-zoho", "tds-postgres"] {
        let mut modules = modules_of(name);
        modules.retain(|module, _| !module.iter().any(|part| part == "testkit" || part == "tests"));
        let found = circles(&between_roots(&edges(&modules)));
        assert!(found.is_empty(), "root modules of {name} import each other: {found:#?}");
    }
}

#[test]
fn a_circle_is_found_through_names_that_are_passed_on() {
    let files = [
        ("", "mod a; mod b; mod c;\npub use a::{A, other as Other};\n"),
        ("a", "use crate::b::{self, B};\npub struct A;\n"),
        ("b", "pub(crate) struct B(crate::c::C); // crate::a\n"),
        ("c", "mod tests {\n    use super::*;\n    use crate::Other;\n}\n"),
        ("a/part", "use super::A;\nuse crate::d;\n"),
        ("d", "use crate::a::part::D;\n"),
    ];
    let module = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let modules = files.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect();
    let edges = edges(&modules);
    assert_eq!(Vec::from_iter(circles(&edges)), ["a, b, c", "a/part, d"]);
    assert_eq!(Vec::from_iter(circles(&between_roots(&edges))), ["a, b, c, d"]);
}
