#!/usr/bin/perl
# spamassassin.pl: SpamAssassin without its network tests, with a Bayes database of its own.
#
#   spamassassin.pl STATE learn   reads lines "ham FILE" and "spam FILE", learns them, prints how many it took
#   spamassassin.pl STATE score   reads lines FILE, prints "FILE score rules-alone rule,rule,…" separated by tabs
#
# The score without Bayes is the sum of the same rules by the weights that SpamAssassin has for sites without Bayes.
# At the end the processor seconds that it used stand on standard error.
use strict;
use warnings;
use Mail::SpamAssassin;
my ($state, $mode) = @ARGV;
die "usage: spamassassin.pl STATE learn|score\n" unless defined $mode && $mode =~ /^(?:learn|score)$/;
my $sa = Mail::SpamAssassin->new({
    local_tests_only => 1, dont_copy_prefs => 1, userprefs_filename => '/dev/null', userstate_dir => $state,
    post_config_text => "use_bayes 1\nuse_bayes_rules 1\nbayes_auto_learn 0\nbayes_auto_expire 0\nbayes_path $state/bayes\n"
        . "bayes_learn_to_journal 0\nlock_method flock\nuse_razor2 0\nuse_pyzor 0\nuse_dcc 0\nuse_txrep 0\nuse_auto_whitelist 0\n",
});
$sa->init(1);
$sa->init_learner({ caller_will_untie => 1 }) if $mode eq 'learn';
my $taken = 0;
while (my $line = <STDIN>) {
    chomp $line;
    my ($kind, $file) = $mode eq 'learn' ? split(/ /, $line, 2) : ('', $line);
    open(my $fh, '<:raw', $file) or die "$file: $!\n";
    my $raw = do { local $/; <$fh> };
    close $fh;
    my $message = $sa->parse($raw, $mode eq 'score');
    if ($mode eq 'learn') {
        my $status = $sa->learn($message, undef, $kind eq 'spam' ? 1 : 0, 0);
        $taken++ if $status->did_learn();
        $status->finish();
    } else {
        my $status = $sa->check($message);
        my @hit = grep { $_ } split(/,/, $status->get_names_of_tests_hit());
        my $alone = 0;
        for my $rule (@hit) {
            next if $rule =~ /^BAYES_/;
            my $w = $sa->{conf}{scoreset}[0]{$rule};
            $alone += $w if defined $w;
        }
        printf "%s\t%.3f\t%.3f\t%s\n", $file, $status->get_score(), $alone, join(',', @hit);
        STDOUT->flush();
        $status->finish();
    }
    $message->finish();
}
$sa->rebuild_learner_caches({ verbose => 0 }) if $mode eq 'learn';
$sa->finish_learner() if $mode eq 'learn';
print "$taken\n" if $mode eq 'learn';
my ($user, $system) = times;
printf STDERR "cpu %.2f\n", $user + $system;
