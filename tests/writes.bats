# writes.bats - what a write is answered, by what homes and keepers have said
#
# covey-httpd alone, among roles that say what they are told to (tests/write-roles).
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

roles() { scenario write-roles "$1" "$(port)"; }

@test "every scenario of write-roles is a test here" { every_scenario write-roles roles; }
@test "201 and 204: a majority has the record, another disk the content" { roles confirmed; }
@test "what no other disk has is 202, whatever the homes say" { roles no_copy; }
@test "homes are asked after a quick push, and during a slow one" { roles slow_push; }
@test "three copies are three disks, each counted once" { roles copies_counted; }
@test "without a majority that has it: 202, and asked again as long as somebody waits" { roles minority; }
@test "written without a majority's word: 202, and marked as blind" { roles blind; }
@test "Prefer: respond-async and wait=0 do not wait" { roles preferences; }
@test "a write waits for timeouts.store, or as long as preferred" { roles waiting; }
@test "Prefer: wait has the homes asked until a majority answers" { roles patience; }
@test "the outbox keeps what some home or keeper has not" { roles outbox; }
@test "covey-syncd is told what a commit that failed left in the outbox" { need strace && roles failed_commit; }
@test "what is above a write is asked about, unless it is known to stand" { roles above; }
@test "homes are asked before a body that is large or conditional, not before a small one" { roles early_question; }
@test "a file above is 409, and nothing is stored" { roles above_file; }
@test "copies that the layout asks for meanwhile are made before 201" { roles copies_raised; }
@test "a keeper that left meanwhile is no copy, and another is made" { roles keeper_left; }
@test "in a joint layout those count that stay or come" { roles joint; }
@test "homes of a newer layout confirm when that is known, with its copies" { roles behind; }
@test "a guest's content is on a member's disk before 201" { roles guest; }
@test "If-Match in a group of one, and when that is joined meanwhile" { roles updates; }
@test "a file where a directory stands is 409, and stored nowhere" { roles other_kind; }
@test "a large body goes on while it comes; what was lost of it is pushed whole" { roles early_push; }
@test "what a minority knows is settled with its content, or passed over" { roles unsettled; }
@test "what is restored from others is the whole of it, or nothing" { roles restored; }
@test "the last bytes of what is pulled wait for its digest" { roles held_back; }
@test "Age is counted from the question; a newer version here is not what was confirmed" { roles aged; }
@test "the newest older content when nobody has the newest, but nothing deleted" { roles older; }
@test "content that its keepers and origin do not give is had from whoever read it" { roles cached; }
