//! Which files import which, and whether they do so in circles.
//!
//! A file imports another when it names something defined there, by whatever path: a re-export is followed to the file
//! that it comes from, and a `mod` or `pub use` line is no import by itself. So a folder's `mod.rs` that only lists its
//! files imports none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Path of a module from the crate's root.
pub type Module = Vec<String>;

/// The files of a crate, by module, with their code free of comments and tests.
pub struct Crate {
    files: BTreeMap<Module, File>,
}

struct File {
    code: String,
    /// Public name, and the path it stands for as written.
    reexports: BTreeMap<String, String>,
}

impl Crate {
    pub fn new(sources: impl IntoIterator<Item = (Module, String)>) -> Self {
        let files = sources.into_iter().map(|(module, code)| {
            let reexports = uses(&code)
                .filter(|(public, _)| *public)
                .flat_map(|(_, tree)| expand(tree))
                .map(|(path, name)| (name, path))
                .collect();
            (module, File { code, reexports })
        });
        Self { files: files.collect() }
    }

    /// The files that one file imports.
    pub fn imports(&self, module: &Module) -> BTreeSet<Module> {
        let Some(file) = self.files.get(module) else {
            return BTreeSet::new();
        };
        // Names of modules, and the paths that they stand for.
        let names: BTreeMap<String, String> = uses(&file.code)
            .flat_map(|(_, tree)| expand(tree))
            .map(|(path, name)| (name, path))
            .collect();
        let code = without_uses(&file.code);
        let inline = inline_paths(&code).map(|path| match path.split_once("::") {
            Some((first, rest)) if names.contains_key(first) => format!("{}::{rest}", names[first]),
            _ => path,
        });
        let used = uses(&file.code).filter(|(public, _)| !public);
        let used = used.flat_map(|(_, tree)| expand(tree)).map(|(path, _)| path);
        let mut imports: BTreeSet<Module> = used
            .chain(inline)
            .filter_map(|path| self.file_of(&self.absolute(module, &path)?))
            .collect();
        imports.remove(module);
        imports
    }

    /// Circles of imports: sets of files each of which imports, directly or not, all the others.
    pub fn circles(&self) -> Vec<Vec<Module>> {
        let edges: BTreeMap<&Module, BTreeSet<Module>> =
            self.files.keys().map(|module| (module, self.imports(module))).collect();
        let reachable: BTreeMap<&Module, BTreeSet<&Module>> = edges
            .keys()
            .map(|module| (*module, reachable(module, &edges)))
            .collect();
        let mut circles: Vec<Vec<Module>> = Vec::new();
        for (module, reached) in &reachable {
            let in_circle = |other: &&&Module| reached.contains(**other) && reachable[**other].contains(*module);
            let circle: Vec<Module> = reachable
                .keys()
                .filter(in_circle)
                .map(|other| (*other).clone())
                .collect();
            if !circle.is_empty() && !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles
    }

    /// A path as it is written in `module`, from the crate's root; `None`: it leads out of the crate.
    fn absolute(&self, module: &Module, path: &str) -> Option<Module> {
        let mut names = path.split("::").peekable();
        let mut absolute = module.clone();
        match *names.peek()? {
            "crate" => {
                names.next();
                absolute.clear();
            }
            "self" => {
                names.next();
            }
            "super" => {
                while names.next_if(|name| *name == "super").is_some() {
                    absolute.pop();
                }
            }
            first => {
                let child: Module = absolute.iter().cloned().chain([first.to_owned()]).collect();
                self.files.get(&child)?;
            }
        }
        absolute.extend(names.map(str::to_owned));
        Some(absolute)
    }

    /// The file that defines what a path names.
    fn file_of(&self, path: &[String]) -> Option<Module> {
        let mut path = path.to_vec();
        // A re-export may lead to another; one that leads back to itself ends here.
        for _ in 0..8 {
            let depth = (0..=path.len())
                .rev()
                .find(|depth| self.files.contains_key(&path[..*depth]))?;
            let (module, rest) = (path[..depth].to_vec(), &path[depth..]);
            let target = rest
                .first()
                .and_then(|name| self.files[&module].reexports.get(name))
                .and_then(|target| self.absolute(&module, target));
            match target {
                Some(target) => path = target.into_iter().chain(rest[1..].iter().cloned()).collect(),
                None => return Some(module),
            }
        }
        None
    }
}

fn reachable<'a>(from: &'a Module, edges: &'a BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = edges[from].iter().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(edges.get(module).into_iter().flatten());
        }
    }
    reached
}

/// The trees of all `use` items, and whether they are public.
fn uses(code: &str) -> impl Iterator<Item = (bool, &str)> {
    use_trees(code).map(|(public, range)| (public, &code[range]))
}

/// Where the trees of `use` items stand in the code.
fn use_trees(code: &str) -> impl Iterator<Item = (bool, Range<usize>)> {
    code.match_indices("use ").filter_map(|(at, _)| {
        let line = code[..at].rsplit(['\n', ';', '}']).next().unwrap_or_default().trim();
        let public = line.starts_with("pub");
        let start = at + "use ".len();
        let end = start + code[start..].find(';')?;
        (line.is_empty() || public).then_some((public, start..end))
    })
}

/// The code without its `use` items, whose paths [`uses`] has.
fn without_uses(code: &str) -> String {
    let (mut kept, mut from) = (String::new(), 0);
    for (_, tree) in use_trees(code) {
        kept.push_str(&code[from..tree.start]);
        from = tree.end;
    }
    kept + &code[from..]
}

/// Each path of a `use` tree, with the name it gets.
fn expand(tree: &str) -> Vec<(String, String)> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
        let path = path.trim().trim_end_matches("::self");
        let name = if alias.is_empty() {
            path.rsplit("::").next().unwrap_or_default()
        } else {
            alias
        };
        return vec![(path.to_owned(), name.trim().to_owned())];
    };
    let body = rest.strip_suffix('}').unwrap_or(rest);
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    for (at, character) in body.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&body[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&body[from..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| expand(&format!("{}{}", prefix.trim(), part.trim())))
        .collect()
}

/// Paths within expressions and types.
fn inline_paths(code: &str) -> impl Iterator<Item = String> {
    // Who may see an item is no import.
    let without_visibility = code
        .split("pub(in ")
        .enumerate()
        .map(|(index, part)| match part.split_once(')') {
            Some((_, rest)) if index > 0 => rest,
            _ => part,
        });
    without_visibility
        .flat_map(|part| part.split(|character: char| !is_path(character)))
        .filter(|path| path.contains("::") && !path.starts_with(':'))
        .map(|path| path.trim_end_matches(':').to_owned())
}

fn is_path(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == ':'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Module {
        path.split("::")
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn example(sources: &[(&str, &str)]) -> Crate {
        Crate::new(sources.iter().map(|(path, code)| (module(path), (*code).to_owned())))
    }

    #[test]
    fn reexports_are_followed_and_module_lists_import_nothing() {
        let crate_ = example(&[
            ("store", "mod step;\npub use step::{Step, Steps as Many};"),
            ("store::step", "pub struct Step;"),
            (
                "engine",
                "use crate::store::{Many, Step};\nfn f() -> super::store::Step {}",
            ),
        ]);
        assert!(crate_.imports(&module("store")).is_empty());
        let imports: Vec<Module> = crate_.imports(&module("engine")).into_iter().collect();
        assert_eq!(imports, [module("store::step")]);
    }

    #[test]
    fn paths_through_children_and_imported_modules_are_followed() {
        let crate_ = example(&[
            ("family", "mod one;\nfn f() { one::read() }\npub struct Shared;"),
            ("family::one", "use super::Shared;\npub fn read() {}"),
            ("other", "use crate::family;\nfn f() { family::one::read() }"),
        ]);
        assert!(crate_.imports(&module("family")).contains(&module("family::one")));
        assert!(crate_.imports(&module("other")).contains(&module("family::one")));
        assert_eq!(crate_.circles(), [vec![module("family"), module("family::one")]]);
    }

    #[test]
    fn a_circle_over_several_files_is_found_once() {
        let crate_ = example(&[
            ("a", "use crate::b::B;"),
            ("b", "use crate::c::{self, C};"),
            ("c", "fn f(x: crate::a::A) {}"),
            ("d", "use crate::a::A;"),
        ]);
        assert_eq!(crate_.circles(), [vec![module("a"), module("b"), module("c")]]);
    }
}
