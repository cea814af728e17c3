# push.bats - a content goes to its keepers, whole, signed, and to the next when one fails
#
# covey-syncd alone, among keepers that misbehave (tests/push-peers).
# shellcheck shell=bash disable=SC2034,SC2154

load helpers

peers() { scenario push-peers "$1"; }

@test "every scenario of push-peers is a test here" { every_scenario push-peers peers; }

@test "the first keeper gets the content, signed, under names of any bytes" { peers plain; }
@test "small contents go in one message with others; what is not taken so goes by itself" { peers together; }
@test "as many keepers as are wanted get it" { peers several; }
@test "a keeper that refuses, or is away: the next one, and it is tried last" { peers next_keeper; }
@test "a keeper that keeps newer versions instead has no copy" { peers newer_there; }
@test "a silent keeper costs a write no time-out" { peers silent_keeper; }
@test "a keeper that has it is not sent the rest" { peers already_there; }
@test "a body is sent while it arrives" { peers growing; }
@test "a keeper lost while the body grows: the whole again, or the next" { peers growing_lost; }
@test "a body that came to nothing is cut, not ended" { peers dropped; }
@test "a keeper whose clock is an hour off" { peers clocks; }
@test "sealed packets of other roles by HTTP" { peers carry; }
@test "homes are asked for indexes and histories with the epoch of the layout" { peers homes; }
@test "one that refuses everything is in nobody's way" { peers refused_many; }
@test "what its writer is giving to a keeper is not given to it twice at once" { peers given_already; }
@test "a keeper that lacks it does not wait for one that is given it slowly" { peers given_another; }
@test "the keepers change while a content is on its way" { peers relaid; }
@test "what is no push is refused and harms nobody" { peers nonsense; }
